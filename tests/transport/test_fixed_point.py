import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.transport import fixed_point
from tests.finite_differences import numeric_gradient, relative_error
from tests.reference import transport as reference


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_equals_the_published_iteration_in_loops(iterations, rng):
    cost, mu = rng.uniform(0, 2, (3, 4, 5)), np.array([0.2, 0.5, 1.0])
    residual, plan = fixed_point(cost, mu, 3.0, iterations)
    for b in range(3):
        expected = reference.fixed_point_sample(cost[b], mu[b], 3.0, iterations)
        np.testing.assert_allclose(residual[b], expected[0], rtol=1e-13)
        np.testing.assert_allclose(plan[b], expected[1], rtol=1e-13)


def test_converges_too_slowly_to_be_what_the_layer_uses(rng):
    cost = rng.uniform(0, 1, (4, 4, 49))
    _, expected = reference.solve(cost, [0.95] * 4, 20.0)
    errors = [np.abs(fixed_point(cost, 0.95, 20.0, count).plan - expected).max() * 49 for count in (100, 1000)]
    assert errors[0] > 1e-3 and errors[1] < errors[0] / 10


def test_is_differentiable(rng):
    cost, weight = rng.uniform(0, 1, (3, 4)), rng.normal(size=(3, 4))
    batch = tf.constant(cost[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(batch)
        loss = tf.reduce_sum(weight * fixed_point(batch, 0.4, 5.0, 4).plan)
    expected = numeric_gradient(
        lambda stack: tf.reduce_sum(weight * fixed_point(stack, 0.4, 5.0, 4).plan, axis=(1, 2)), cost
    )
    assert relative_error(tape.gradient(loss, batch)[0], expected) < 1e-6


def test_errors():
    cost = np.zeros((1, 2, 3))
    with pytest.raises(ValueError, match=r"mu must be in \(0, 1\]; got 2"):
        fixed_point(cost, 2.0, 5.0)
    with pytest.raises(ValueError, match=r"epsilon must be in \(0, inf\); got 0"):
        fixed_point(cost, 0.5, 0.0)
    with pytest.raises(ValueError, match="iterations must be a whole number of at least 1; got 0"):
        fixed_point(cost, 0.5, 5.0, iterations=0)
