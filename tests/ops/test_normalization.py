import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.ops.normalization import clip_to_unit_ball, l2_normalize
from tests.finite_differences import numeric_gradient, relative_error
from tests.reference.poolings import clip_to_unit_ball as clip_reference


def gradient(function, x, weight):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(weight * function(x))
    return tape.gradient(loss, x).numpy()


def test_clip_equals_loops(rng):
    x = rng.normal(size=(20, 3)) * rng.uniform(0, 2, (20, 1))
    assert 3 < np.sum(np.linalg.norm(x, axis=1) > 1) < 17
    np.testing.assert_allclose(clip_to_unit_ball(tf.constant(x)), [clip_reference(row) for row in x], rtol=1e-14)


@pytest.mark.parametrize("function", [clip_to_unit_ball, l2_normalize])
def test_gradient_equals_finite_differences(function, rng):
    x, weight = rng.normal(size=(6, 3)) * [[0.1], [0.3], [0.5], [2], [5], [9]], rng.normal(size=(6, 3))
    expected = numeric_gradient(lambda stack: tf.reduce_sum(weight * function(tf.constant(stack)), axis=(1, 2)), x)
    assert relative_error(gradient(function, x, weight), expected) < 1e-6


def test_the_zero_vector_passes_the_clip_with_gradient_1():
    np.testing.assert_array_equal(clip_to_unit_ball(tf.zeros((1, 3))), np.zeros((1, 3)))
    np.testing.assert_array_equal(gradient(clip_to_unit_ball, np.zeros((1, 3)), 2.0), np.full((1, 3), 2.0))


@pytest.mark.parametrize("function", [clip_to_unit_ball, l2_normalize])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e6, 1e18])
def test_all_sizes_are_finite(function, scale, rng):
    x = (scale * rng.normal(size=(5, 8)) / 8).astype(np.float32)
    assert np.all(np.isfinite(function(tf.constant(x)).numpy()))
    assert np.all(np.isfinite(gradient(function, x, 1.0)))


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_unit_length(scale, rng):
    x = (scale * rng.normal(size=(5, 8))).astype(np.float32)
    unit = l2_normalize(tf.constant(x)).numpy()
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit, (x / scale) / np.linalg.norm(x / scale, axis=1, keepdims=True), rtol=1e-5)


def test_the_zero_vector_stays_zero_with_zero_gradient():
    assert not l2_normalize(tf.zeros((2, 3))).numpy().any()
    assert not gradient(l2_normalize, np.zeros((2, 3)), 1.0).any()
