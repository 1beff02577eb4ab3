"""The sum of global average and global max pooling."""

from tensorflow import keras

from gsp_tf.pooling.local_features import masked_max, masked_mean
from gsp_tf.pooling.pooling_layer import PoolingLayer


@keras.utils.register_keras_serializable("gsp_tf")
class GAPGMPPooling(PoolingLayer):
    """Sum of global average and global max pooling, g = (1/n) Σ_j f_j + max_j f_j.

    Args and shapes as in :class:`PoolingLayer`. Source: the conventional protocol of the GSP paper.

    >>> import tensorflow as tf
    >>> GAPGMPPooling()(tf.constant([[[1.0, 2.0], [3.0, 6.0]]])).numpy().tolist()
    [[5.0, 10.0]]
    """

    def pool(self, features, valid):
        return masked_mean(features, valid) + masked_max(features, valid)
