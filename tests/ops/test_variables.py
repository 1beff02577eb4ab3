import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.variables import assign_rows, full_precision_weight, step_state


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


@pytest.mark.parametrize("compiled", [False, True])
def test_rows_are_written_in_place(compiled):
    layer = keras.layers.Layer()
    table = step_state(layer, name="table", shape=(4, 2), initializer="zeros")

    def write(indices, rows):
        assign_rows(table, indices, rows)

    (tf.function(write) if compiled else write)(tf.constant([3, 1]), tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64))
    np.testing.assert_array_equal(np.array(table), [[0, 0], [3, 4], [0, 0], [1, 2]])
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 1


def test_state_may_be_whole_numbers():
    layer = keras.layers.Layer(dtype="mixed_float16")
    state = step_state(layer, name="state", shape=(), initializer="zeros", dtype="int64")
    state.assign(2**60 + 1)
    assert int(state) == 2**60 + 1
