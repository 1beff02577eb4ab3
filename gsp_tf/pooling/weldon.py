"""Mean of the highest and of the lowest activations."""

import numbers

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count, check_number
from gsp_tf.pooling.pooling_layer import PoolingLayer


def check_selection(name, value):
    """Return a number of features as an int, a fraction of them as a float, or raise ``ValueError``."""
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, numbers.Integral)):
        return check_number(name, value, low=0, high=1, low_open=True)
    try:
        return check_count(name, value)
    except ValueError:
        raise ValueError(
            f"{name} must be a whole number of at least 1, or a float in (0, 1] for a fraction; got {value!r}"
        ) from None


@keras.utils.register_keras_serializable("gsp_tf")
class WELDONPooling(PoolingLayer):
    """WELDON: per channel, the middle between the mean of the k⁺ highest and that of the k⁻ lowest activations.

        g = ½ ( (1/k⁺) Σ of the k⁺ highest f_j + (1/k⁻) Σ of the k⁻ lowest f_j )

    so that k⁺ = k⁻ = n is global average pooling; the original is the sum, twice that. Source: Durand, Thome and Cord,
    "WELDON: Weakly Supervised Learning of Deep Convolutional Neural Networks", CVPR 2016, section 3.2.

    Features that tie at the edge of a selection share what is left of it, in value and gradient: neither depends on
    the order of the positions.

    Args:
        k_max: k⁺, a whole number ≥ 1, of which no more count than a sample has valid features; or a float in (0, 1],
            the fraction of them, rounded, at least one. 1 is the highest feature, 1.0 is all.
        k_min: k⁻, the same for the lowest; None takes ``k_max``.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments, returns and raises as in :class:`PoolingLayer`. A sample without any valid feature pools to zeros.

    >>> WELDONPooling(k_max=2, k_min=1)(tf.constant([[[1.0], [5.0], [3.0], [2.0]]])).numpy().tolist()
    [[2.5]]
    """

    def __init__(self, k_max=3, k_min=None, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.k_max = check_selection("k_max", k_max)
        self.k_min = self.k_max if k_min is None else check_selection("k_min", k_min)

    def pool(self, features, valid):
        if valid is None:
            valid = tf.ones_like(features[:, :, 0], tf.bool)
        valid = valid[:, :, tf.newaxis]
        count = tf.reduce_sum(tf.cast(valid, features.dtype), axis=1, keepdims=True)
        # Padding sorts behind every valid feature from either end.
        last = tf.constant(features.dtype.min, features.dtype)
        highest = _selection_weights(tf.where(valid, features, last), valid, self._number(self.k_max, count))
        lowest = _selection_weights(tf.where(valid, -features, last), valid, self._number(self.k_min, count))
        return tf.reduce_sum((highest + lowest) / 2 * features, axis=1)

    @staticmethod
    def _number(k, count):
        """k for every sample, (B, 1, 1), between 1 and its number of valid features."""
        wanted = tf.round(k * count) if isinstance(k, float) else tf.constant(k, count.dtype)
        return tf.maximum(tf.minimum(wanted, count), 1)

    def get_config(self):
        return {**super().get_config(), "k_max": self.k_max, "k_min": self.k_min}


def _selection_weights(values, valid, k):
    """Weights (B, n, d) that average the k highest of (B, n, d) values, without gradient; 0 where not valid.

    Values above the k-th highest get 1/k. Those equal to it share the rest evenly.
    """
    values = tf.stop_gradient(values)
    ordered = tf.sort(values, axis=1, direction="DESCENDING")
    edge = tf.gather(ordered, tf.cast(k[:, 0], tf.int32) - 1, axis=1, batch_dims=1)
    above = tf.cast((values > edge) & valid, values.dtype)
    tied = tf.cast(tf.equal(values, edge) & valid, values.dtype)
    rest = k - tf.reduce_sum(above, axis=1, keepdims=True)
    share = tf.math.divide_no_nan(rest, tf.reduce_sum(tied, axis=1, keepdims=True))
    return (above + share * tied) / k
