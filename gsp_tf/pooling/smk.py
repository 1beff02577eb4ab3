"""Sum of whitened local features, weighted by their strength."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_choice, check_rank
from gsp_tf.ops.normalization import l2_normalize
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.local_features import feature_dim, masked_mean
from gsp_tf.pooling.pooling_layer import PoolingLayer

WINDOW = 3
MAPS = "(B, H, W, d), or (B, d, H, W) with data_format='channels_first', where smooth=True"


@keras.utils.register_keras_serializable("gsp_tf")
class SMKPooling(PoolingLayer):
    """Trainable selective match kernel pooling (HOW): unit descriptors, weighted by the strength of their features.

        w_j = ‖f_j‖₂,   v_j = A (h(f)_j − c),   g = (1/n) Σ_j w_j v_j/‖v_j‖₂

    with a trainable centre c and matrix A, the whitening, and h the identity or, with ``smooth``, the mean over the
    3×3 neighbourhood (at the border, over what there is of it). The inner product of two such sums is the match
    kernel that adds up the similarities of all pairs of descriptors. A descriptor at the centre counts 0. With c = 0
    and A = I, which is how training begins, and without smoothing, g is global average pooling.

    Source: Tolias, Jenicek and Chum, "Learning and Aggregating Deep Local Descriptors for Instance-Level
    Recognition", ECCV 2020, section 3. There A also reduces the dimension, c and A come from a PCA of descriptors and
    stay fixed, and the sum is not divided by n, a factor that the embedder's L2 normalisation removes; the authors'
    training code sums the descriptors without normalising each.

    Args:
        smooth: average 3×3 neighbourhoods first. This takes maps (B, H, W, d), and the result depends on which
            positions are neighbours; without it, their order makes no difference.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments, returns and raises as in :class:`PoolingLayer`. Masked features are no neighbours either. A sample
    without any valid feature pools to zeros.

    >>> SMKPooling()(tf.constant([[[1.0, 2.0], [3.0, 6.0]]])).numpy().round(4).tolist()
    [[2.0, 4.0]]
    """

    def __init__(self, smooth=False, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.smooth = check_choice("smooth", smooth, (False, True))

    def build(self, input_shape):
        dim = feature_dim(input_shape, self.data_format)
        if self.smooth:
            # Keras 3 does not run ``call`` on a symbolic input whose output shape it knows.
            check_rank("inputs", tf.TensorSpec(input_shape), (4,), MAPS)
        self.center = full_precision_weight(self, name="center", shape=(dim,), initializer=keras.initializers.Zeros())
        self.whitening = full_precision_weight(
            self, name="whitening", shape=(dim, dim), initializer=keras.initializers.Identity()
        )
        super().build(input_shape)

    def call(self, inputs, mask=None):
        inputs = tf.convert_to_tensor(inputs)
        features, valid = self.exact_features(inputs, mask)
        # Equal to the norm, and without its infinite slope at 0.
        strength = tf.reduce_sum(features * l2_normalize(features), axis=2, keepdims=True)
        if self.smooth:
            check_rank("inputs", inputs, (4,), MAPS)
            features = self._average_neighbours(features, valid, inputs)
        centered = features - tf.cast(self.center, features.dtype)
        whitened = tf.tensordot(centered, tf.cast(self.whitening, features.dtype), axes=[[2], [1]])
        return tf.cast(masked_mean(strength * l2_normalize(whitened), valid), inputs.dtype)

    def _average_neighbours(self, features, valid, inputs):
        """Mean over the valid features in the 3×3 window around each of (B, n, d); inputs give the map's size."""
        start = 1 if self.data_format == "channels_last" else 2
        height, width = tf.unstack(tf.shape(inputs)[start:start + 2])
        dim = features.shape[2]
        average = _window_mean(tf.reshape(features, (-1, height, width, dim)))
        if valid is not None:
            share = _window_mean(tf.reshape(tf.cast(valid, features.dtype), (-1, height, width, 1)))
            average = tf.math.divide_no_nan(average, share)
        return tf.reshape(average, tf.shape(features))

    def get_config(self):
        return {**super().get_config(), "smooth": self.smooth}


def _window_mean(maps):
    """Mean over 3×3 windows of (B, H, W, C); positions beyond the border do not count."""
    return tf.nn.avg_pool2d(maps, WINDOW, strides=1, padding="SAME", data_format="NHWC")
