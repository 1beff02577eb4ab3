import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.variables import full_precision_weight


class Reader(keras.layers.Layer):
    """Shows its two variables as its ``call`` sees them."""

    def build(self, input_shape):
        initializer = keras.initializers.Constant(0.999)
        self.kept = full_precision_weight(self, name="kept", shape=(), initializer=initializer)
        self.rounded = self.add_weight(name="rounded", shape=(), initializer=initializer)

    def call(self, inputs):
        return tf.convert_to_tensor(self.kept), tf.convert_to_tensor(self.rounded)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_half_precision_policy_does_not_round(policy):
    kept, rounded = Reader(dtype=policy)(tf.zeros((1, 2)))
    assert kept.dtype == tf.float32 and kept.numpy() == np.float32(0.999)
    assert rounded.dtype != tf.float32
