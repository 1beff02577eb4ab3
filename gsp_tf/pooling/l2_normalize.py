"""L2 normalisation as a layer."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import solver_dtype
from gsp_tf.ops.normalization import l2_normalize


@keras.utils.register_keras_serializable("gsp_tf")
class L2Normalize(keras.layers.Layer):
    """Scale the vectors of the last axis to unit length, x / ‖x‖₂; the zero vector stays zero.

    Computed in float32 under a half-precision policy. Neither huge nor tiny inputs overflow.

    >>> L2Normalize()(tf.constant([[3.0, 4.0], [0.0, 0.0]])).numpy().round(1).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """

    def call(self, inputs):
        inputs = tf.convert_to_tensor(inputs)
        return tf.cast(l2_normalize(tf.cast(inputs, solver_dtype(inputs.dtype))), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
