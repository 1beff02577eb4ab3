"""What the poolings of local features have in common."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import solver_dtype
from gsp_tf.pooling.local_features import check_data_format, feature_dim, flatten_features


class PoolingLayer(keras.layers.Layer):
    """Pool local features (B, n, d), (B, H, W, d) or (B, D, H, W, d) to (B, d); a subclass defines ``pool``.

    A subclass with weights adds them in ``build``; one that gives another size defines ``compute_output_shape``.

    Args:
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.supports_masking = True

    def pool(self, features, valid):
        """Pool (B, n, d) features with (B, n) booleans, or None where all are valid, to (B, d).

        Features that are not valid are zeros.
        """
        raise NotImplementedError(f"{type(self).__name__} must define pool")

    def exact_features(self, inputs, mask):
        """``(features, valid)`` to compute with: at least float32, and zeros where not valid."""
        features, valid = flatten_features(inputs, mask, self.data_format)
        # A float16 sum over a large map overflows.
        features = tf.cast(features, solver_dtype(features.dtype))
        if valid is not None:
            # Padding may hold anything, NaN included; nothing times zero would remove that.
            features = tf.where(valid[:, :, tf.newaxis], features, tf.zeros_like(features))
        return features, valid

    def call(self, inputs, mask=None):
        inputs = tf.convert_to_tensor(inputs)
        return tf.cast(self.pool(*self.exact_features(inputs, mask)), inputs.dtype)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], feature_dim(input_shape, self.data_format))

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}
