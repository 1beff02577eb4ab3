"""Second-order attention between the positions, then a generalised mean."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count, check_number
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.exponent import LOWEST_EXPONENT, exponent_weight, positive_exponent
from gsp_tf.pooling.generalized_mean import generalized_mean
from gsp_tf.pooling.local_features import feature_dim
from gsp_tf.pooling.pooling_layer import PoolingLayer


@keras.utils.register_keras_serializable("gsp_tf")
class SOLARPooling(PoolingLayer):
    """SOLAR: second-order attention, by which every feature takes from all others, and the generalised mean of that.

        q_j = A_q f_j + b_q,   k_j = A_k f_j,   v_j = A_v f_j + b_v        (r numbers each)
        z_jl = softmax_l(⟨q_j, k_l⟩/√r),   h_j = f_j + A_o Σ_l z_jl v_l + b_o
        g = ((1/n) Σ_j max(h_j, 1e-6)^p)^(1/p)        per channel, p trainable

    A_o and b_o are 0 at first, so that training begins as :class:`GeMPooling`, whose weight ``raw_p`` stands for p
    here too. A bias of the keys would cancel in the softmax. The n² attention weights are held in memory.

    Source: Ng, Balntas, Tian and Mikolajczyk, "SOLAR: Second-Order Loss and Attention for Image Retrieval", ECCV
    2020, section 3.2. Its implementation also has such a block inside the backbone, and puts batch normalisation and
    ReLU behind A_q and A_k, which are left out here.

    Args:
        attention_dim: r ≥ 1; None takes half of d, as the paper does behind the last convolution.
        p: exponent > 0.01 of the generalised mean at the start.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments, returns and raises as in :class:`PoolingLayer`. Masked features are not attended to. The attention
    moves with the positions, so that their order makes no difference to the result.

    >>> SOLARPooling()(tf.random.uniform((2, 7, 7, 16))).shape
    TensorShape([2, 16])
    """

    def __init__(self, attention_dim=None, p=3.0, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.attention_dim = attention_dim if attention_dim is None else check_count("attention_dim", attention_dim)
        self.p = check_number("p", p, low=LOWEST_EXPONENT, low_open=True)

    def build(self, input_shape):
        dim = feature_dim(input_shape, self.data_format)
        reduced = self.attention_dim or max(1, dim // 2)
        shapes = {"query": (dim, reduced), "key": (dim, reduced), "value": (dim, reduced), "output": (reduced, dim)}
        for name, shape in shapes.items():
            initializer = keras.initializers.Zeros() if name == "output" else keras.initializers.Orthogonal()
            self._add(f"{name}_kernel", shape, initializer)
            if name != "key":
                self._add(f"{name}_bias", shape[1:], keras.initializers.Zeros())
        self.raw_p = exponent_weight(self, self.p)
        super().build(input_shape)

    def _add(self, name, shape, initializer):
        setattr(self, name, full_precision_weight(self, name=name, shape=shape, initializer=initializer))

    def pool(self, features, valid):
        query = _linear(features, self.query_kernel, self.query_bias)
        key = _linear(features, self.key_kernel)
        value = _linear(features, self.value_kernel, self.value_bias)
        scores = tf.matmul(query, key, transpose_b=True) * query.shape[2] ** -0.5
        if valid is not None:
            scores = tf.where(valid[:, tf.newaxis], scores, scores.dtype.min)
        attended = tf.matmul(tf.nn.softmax(scores), value)
        changed = features + _linear(attended, self.output_kernel, self.output_bias)
        return generalized_mean(changed, positive_exponent(self.raw_p, features.dtype), valid)

    def get_config(self):
        return {**super().get_config(), "attention_dim": self.attention_dim, "p": self.p}


def _linear(x, kernel, bias=None):
    """A 1×1 convolution of (B, n, d), in the dtype of x."""
    product = tf.tensordot(x, tf.cast(kernel, x.dtype), axes=1)
    return product if bias is None else product + tf.cast(bias, x.dtype)
