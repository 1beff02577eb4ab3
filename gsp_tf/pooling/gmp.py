"""Global max pooling."""

from tensorflow import keras

from gsp_tf.pooling.local_features import masked_max
from gsp_tf.pooling.pooling_layer import PoolingLayer


@keras.utils.register_keras_serializable("gsp_tf")
class GMPPooling(PoolingLayer):
    """Global max pooling, g = max_j f_j per channel, over the features that a mask leaves.

    Args and shapes as in :class:`PoolingLayer`. A sample without any valid feature pools to zeros.

    >>> import tensorflow as tf
    >>> GMPPooling()(tf.constant([[[1.0, 6.0], [3.0, 2.0]]])).numpy().tolist()
    [[3.0, 6.0]]
    """

    def pool(self, features, valid):
        return masked_max(features, valid)
