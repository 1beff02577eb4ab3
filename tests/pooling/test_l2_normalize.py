import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf


def test_equals_the_formula(rng):
    x = rng.normal(size=(5, 3, 4))
    expected = x / np.sqrt(np.sum(x**2, axis=-1, keepdims=True))
    np.testing.assert_allclose(gsp_tf.L2Normalize(dtype="float64")(x), expected, rtol=1e-14)


@pytest.mark.parametrize(("policy", "limit"), [("mixed_float16", 1e-3), ("mixed_bfloat16", 8e-3), ("float32", 1e-6)])
def test_all_policies_and_sizes(policy, limit, rng):
    layer = gsp_tf.L2Normalize(dtype=policy)
    direction = rng.normal(size=(1, 6))
    for scale in (1e-4, 1.0, 1e4):
        x = tf.cast(scale * direction, layer.compute_dtype)
        unit = layer(x)
        assert unit.dtype == x.dtype
        exact = np.asarray(tf.cast(x, tf.float64))
        np.testing.assert_allclose(tf.cast(unit, tf.float64), exact / np.linalg.norm(exact), rtol=limit, atol=limit)


def test_zero_stays_zero_with_zero_gradient():
    x = tf.zeros((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        unit = gsp_tf.L2Normalize()(x)
    assert not unit.numpy().any() and not tape.gradient(unit, x).numpy().any()


def test_shape_config_and_compilation(rng):
    layer = gsp_tf.L2Normalize(name="unit")
    assert tuple(layer(keras.Input((None, 4))).shape) == (None, None, 4)
    assert gsp_tf.L2Normalize.from_config(layer.get_config()).get_config() == layer.get_config()
    x = tf.constant(rng.normal(size=(3, 4)), tf.float32)
    np.testing.assert_allclose(tf.function(layer, jit_compile=True)(x), layer(x), rtol=1e-6)
