"""What the poolings to one vector per prototype have in common."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.local_features import feature_dim
from gsp_tf.pooling.pooling_layer import PoolingLayer


class EnsemblePooling(PoolingLayer):
    """Pool local features to the concatenation of one vector per prototype, (B, m·width).

    A subclass defines ``build_prototypes(width)`` and ``aggregate(features, valid)``, which maps (B, n, width) to
    (B, m, width); features that are not valid are zeros.

    Args:
        num_prototypes: m, number of prototypes.
        width: features pass a trainable linear map to this dimension first, a 1×1 convolution without bias; None
            takes them as they are.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, num_prototypes, width=None, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.num_prototypes = check_count("num_prototypes", num_prototypes)
        self.width = width if width is None else check_count("width", width)

    def build(self, input_shape):
        dim = feature_dim(input_shape, self.data_format)
        self.projection = None
        if self.width is not None:
            self.projection = full_precision_weight(
                self, name="projection", shape=(dim, self.width), initializer=keras.initializers.GlorotUniform()
            )
        self.build_prototypes(self.width or dim)
        super().build(input_shape)

    def build_prototypes(self, width):
        """Add the weights of prototypes for features of this dimension."""
        raise NotImplementedError(f"{type(self).__name__} must define build_prototypes")

    def aggregate(self, features, valid):
        """Pool (B, n, width) features to (B, m, width)."""
        raise NotImplementedError(f"{type(self).__name__} must define aggregate")

    def project(self, features):
        """Map features of any leading shape to the prototypes' dimension."""
        if self.projection is None:
            return features
        return tf.tensordot(features, tf.cast(self.projection, features.dtype), axes=1)

    def pool(self, features, valid):
        blocks = self.aggregate(self.project(features), valid)
        return tf.reshape(blocks, (-1, blocks.shape[1] * blocks.shape[2]))

    def compute_output_shape(self, input_shape):
        dim = feature_dim(input_shape, self.data_format)
        return (input_shape[0], self.num_prototypes * (self.width or dim))

    def get_config(self):
        return {**super().get_config(), "num_prototypes": self.num_prototypes, "width": self.width}
