"""Global average pooling."""

from tensorflow import keras

from gsp_tf.pooling.local_features import masked_mean
from gsp_tf.pooling.pooling_layer import PoolingLayer


@keras.utils.register_keras_serializable("gsp_tf")
class GAPPooling(PoolingLayer):
    """Global average pooling, g = (1/n) Σ_j f_j, over the features that a mask leaves.

    Args and shapes as in :class:`PoolingLayer`; unlike Keras's own layers it takes tokens, maps and volumes, with
    masks, by one name.

    >>> import tensorflow as tf
    >>> GAPPooling()(tf.constant([[[1.0, 2.0], [3.0, 6.0]]])).numpy().tolist()
    [[2.0, 4.0]]
    """

    def pool(self, features, valid):
        return masked_mean(features, valid)
