import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses import ClassMargins


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_gives_each_label_its_number_in_full_precision(policy):
    keras.mixed_precision.set_global_policy(policy)
    margins = ClassMargins(num_classes=300, initial=0.1)
    values = np.linspace(0.1, 1, 300, dtype=np.float32)
    margins.values.assign(values)
    np.testing.assert_array_equal(margins(tf.constant([[257.0], [0.0]])), values[[257, 0]])


def test_float64_starts_with_all_its_digits():
    assert float(ClassMargins(1, initial=0.3, dtype="float64")(tf.constant([0]))[0]) == 0.3


def test_config_round_trip():
    margins = ClassMargins(num_classes=3, initial=0.7, name="boundaries")
    copy = keras.layers.deserialize(keras.layers.serialize(margins))
    assert copy.get_config() == margins.get_config()
    assert len(copy.trainable_variables) == 1


@pytest.mark.parametrize(
    ("arguments", "name"), [((0, 0.5), "num_classes"), ((3, 0), "initial"), ((3, None), "initial")]
)
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        ClassMargins(*arguments)
