import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.ops.distances import guarded_sqrt, pairwise_distances
from tests.finite_differences import numeric_gradient, relative_error


@pytest.mark.parametrize(("x_shape", "y_shape"), [((5, 3), (4, 3)), ((2, 5, 3), (2, 4, 3)), ((5, 3), (2, 4, 3)), ((1, 1), (1, 1))])
def test_equals_loops(x_shape, y_shape, rng):
    x, y = rng.normal(size=x_shape), rng.normal(size=y_shape)
    distances = pairwise_distances(tf.constant(x), tf.constant(y)).numpy()
    batch = np.broadcast_shapes(x_shape[:-2], y_shape[:-2])
    x, y = np.broadcast_to(x, batch + x_shape[-2:]), np.broadcast_to(y, batch + y_shape[-2:])
    assert distances.shape == (*batch, x_shape[-2], y_shape[-2])
    for index in np.ndindex(distances.shape):
        *lead, i, j = index
        expected = sum((a - b) ** 2 for a, b in zip(x[(*lead, i)], y[(*lead, j)], strict=True)) ** 0.5
        np.testing.assert_allclose(distances[index], expected, rtol=1e-13)


def test_gradient_equals_finite_differences(rng):
    x, y, weight = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(3, 5))
    variable = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = tf.reduce_sum(weight * pairwise_distances(variable, tf.constant(y)))
    expected = numeric_gradient(
        lambda stack: tf.reduce_sum(weight * pairwise_distances(stack, tf.constant(y)), axis=(1, 2)), x
    )
    assert relative_error(tape.gradient(loss, variable), expected) < 1e-8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
def test_coinciding_points_are_at_0_with_zero_gradient(scale, dtype, rng):
    point = (scale * rng.normal(size=(1, 64))).astype(dtype)
    x = tf.constant(np.repeat(point, 3, axis=0))
    with tf.GradientTape() as tape:
        tape.watch(x)
        distances = pairwise_distances(x, x)
    assert not distances.numpy().any()
    assert not tape.gradient(distances, x).numpy().any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_but_real_distances_are_kept(dtype):
    step = {"float32": 1e-2, "float64": 1e-6}[dtype]
    x, y = tf.constant([[1.0, 0.0]], dtype), tf.constant([[1.0, step]], dtype)
    np.testing.assert_allclose(pairwise_distances(x, y).numpy(), [[step]], rtol=1e-3)


def test_guarded_sqrt_never_leaves_the_numbers():
    squared = tf.constant([-1e-9, 0.0, 1e-9, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(squared)
        root = guarded_sqrt(squared, tf.ones(4))
    np.testing.assert_allclose(root.numpy(), [0, 0, 0, 2])
    np.testing.assert_allclose(tape.gradient(root, squared).numpy(), [0, 0, 0, 0.25])
