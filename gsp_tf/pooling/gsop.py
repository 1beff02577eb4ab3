"""Global second-order pooling for channel weights."""

import math

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.local_features import feature_dim, masked_mean, valid_count
from gsp_tf.pooling.pooling_layer import PoolingLayer


@keras.utils.register_keras_serializable("gsp_tf")
class GSoPPooling(PoolingLayer):
    """Average pooling whose channels are weighted by a network of their covariance (the GSoP block, then GAP).

    A 1×1 convolution R reduces the d channels to c; their covariance over the places goes through a convolution that
    maps every row i to e numbers with weights of its own, and a full layer to one weight per channel:

        x_j = Rᵀ f_j,   C = (1/n) Σ_j (x_j − x̄)(x_j − x̄)ᵀ        (c, c)
        t_ie = Σ_k K_ike C_ik + a_ie,   w = σ(Uᵀ vec(t) + b)        (d,)
        g = w ⊙ (1/n) Σ_j f_j

    Source: Gao, Xie, Wang and Li, "Global Second-order Pooling Convolutional Networks", CVPR 2019, section 3. There
    the block stands between convolutions and normalises by batch statistics, which are left out here: the embedding
    of an image does not depend on the rest of its batch.

    Args:
        reduced_dim: c, the reduced number of channels; 128 in the paper.
        expansion: e, how many numbers a row becomes; 4 in the paper.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs, mask: as in :class:`PoolingLayer`. A sample without any valid feature pools to zeros.

    Returns:
        (B, d), in the layer's compute dtype.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> GSoPPooling(reduced_dim=4)(tf.random.normal((2, 7, 7, 16))).shape
    TensorShape([2, 16])
    """

    def __init__(self, reduced_dim=128, expansion=4, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.reduced_dim = check_count("reduced_dim", reduced_dim)
        self.expansion = check_count("expansion", expansion)

    def build(self, input_shape):
        dim, reduced, expansion = feature_dim(input_shape, self.data_format), self.reduced_dim, self.expansion
        # Glorot's bound for one row; of a kernel of rank 3 Keras would take the rows for an image.
        bound = math.sqrt(6 / (reduced + expansion))
        for name, shape, initializer in [
            ("reduction", (dim, reduced), "glorot_uniform"),
            ("row_kernel", (reduced, reduced, expansion), keras.initializers.RandomUniform(-bound, bound)),
            ("row_bias", (reduced, expansion), "zeros"),
            ("channel_kernel", (reduced * expansion, dim), "glorot_uniform"),
            ("channel_bias", (dim,), "zeros"),
        ]:
            setattr(self, name, full_precision_weight(self, name=name, shape=shape, initializer=initializer))
        super().build(input_shape)

    def pool(self, features, valid):
        reduction, row_kernel, row_bias, channel_kernel, channel_bias = (
            tf.cast(weight, features.dtype)
            for weight in (self.reduction, self.row_kernel, self.row_bias, self.channel_kernel, self.channel_bias)
        )
        average = masked_mean(features, valid)
        centered = features - average[:, tf.newaxis]
        if valid is not None:
            centered = tf.where(valid[:, :, tf.newaxis], centered, tf.zeros_like(centered))
        reduced = tf.tensordot(centered, reduction, axes=1)
        covariance = tf.matmul(reduced, reduced, transpose_a=True) / valid_count(features, valid)[..., tf.newaxis]
        rows = tf.einsum("bik,ike->bie", covariance, row_kernel) + row_bias
        flat = tf.reshape(rows, (-1, self.reduced_dim * self.expansion))
        return tf.sigmoid(tf.matmul(flat, channel_kernel) + channel_bias) * average

    def get_config(self):
        return {**super().get_config(), "reduced_dim": self.reduced_dim, "expansion": self.expansion}
