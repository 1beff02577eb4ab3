"""Attention pooling of deep local features."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.local_features import feature_dim, masked_max
from gsp_tf.pooling.pooling_layer import PoolingLayer

# Below this log(1 + eˣ) is eˣ to the last digit of float64.
LINEAR_BELOW = -40.0


@keras.utils.register_keras_serializable("gsp_tf")
class DeLFPooling(PoolingLayer):
    """Attention pooling of DeLF: an average of the local features, weighted by a small network's positive scores.

        a_j = softplus(vᵀ relu(W f_j + b) + c),   g = Σ_j a_j f_j / Σ_j a_j

    W and v are 1×1 convolutions. The division keeps g on the scale of the features; the paper's sum is not divided,
    and the L2 normalisation that follows removes the difference. Source: Noh, Araujo, Sim, Weyand and Han,
    "Large-Scale Image Retrieval with Attentive Deep Local Features", ICCV 2017, section 3.2, equation (2).

    Args:
        hidden_dim: size of the hidden layer; 512 in the paper.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs, mask: as in :class:`PoolingLayer`. A sample without any valid feature pools to zeros.

    Returns:
        (B, d), in the layer's compute dtype.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> DeLFPooling(hidden_dim=8)(tf.random.normal((2, 7, 7, 16))).shape
    TensorShape([2, 16])
    """

    def __init__(self, hidden_dim=512, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.hidden_dim = check_count("hidden_dim", hidden_dim)

    def build(self, input_shape):
        dim = feature_dim(input_shape, self.data_format)
        for name, shape, initializer in [
            ("hidden_kernel", (dim, self.hidden_dim), "glorot_uniform"), ("hidden_bias", (self.hidden_dim,), "zeros"),
            ("score_kernel", (self.hidden_dim, 1), "glorot_uniform"), ("score_bias", (1,), "zeros"),
        ]:
            setattr(self, name, full_precision_weight(self, name=name, shape=shape, initializer=initializer))
        super().build(input_shape)

    def pool(self, features, valid):
        hidden_kernel, hidden_bias, score_kernel, score_bias = (
            tf.cast(weight, features.dtype)
            for weight in (self.hidden_kernel, self.hidden_bias, self.score_kernel, self.score_bias)
        )
        hidden = tf.nn.relu(tf.tensordot(features, hidden_kernel, axes=1) + hidden_bias)
        scores = log_softplus(tf.tensordot(hidden, score_kernel, axes=1) + score_bias)
        # Divided by the largest weight, so that not all weights can underflow.
        scores -= tf.stop_gradient(masked_max(scores, valid))[:, tf.newaxis]
        if valid is not None:
            scores = tf.where(valid[:, :, tf.newaxis], scores, scores.dtype.min)
        weights = tf.exp(scores)
        return tf.math.divide_no_nan(tf.reduce_sum(weights * features, axis=1), tf.reduce_sum(weights, axis=1))

    def get_config(self):
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


def log_softplus(x):
    """log(log(1 + eˣ)), also where eˣ underflows."""
    linear = x < LINEAR_BELOW
    inside = tf.where(linear, tf.zeros_like(x), x)
    return tf.where(linear, x, tf.math.log(tf.nn.softplus(inside)))
