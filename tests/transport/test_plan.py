import functools

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from gsp_tf.transport import fixed_point, partial_transport
from tests.reference import transport as reference

MUS = np.array([0.01, 0.1, 0.3, 1 / 3, 0.5, 0.500001, 0.75, 0.95, 0.999, 1.0])
EPSILONS = (0.01, 0.1, 1.0, 5.0, 20.0, 100.0, 1000.0)
LIMIT = {"float32": 1e-6, "float64": 1e-12}


@functools.cache
def traced_once(dtype):
    """``partial_transport`` as one graph for every shape."""
    shapes = [(None, None, None), (None,), ()]
    return tf.function(partial_transport, input_signature=[tf.TensorSpec(shape, dtype) for shape in shapes])


def cost_of(kind, m, n, rng):
    shape = (len(MUS), m, n)
    return {
        "uniform": lambda: rng.uniform(0, 2, shape),
        "equal": lambda: np.full(shape, 0.7),
        "zeros": lambda: np.zeros(shape),
        # Half of the features near: n μ is integral for μ = 0.5 and a hair above for μ = 0.500001.
        "two groups": lambda: np.where(np.arange(n) < n // 2, 0.0, 2.0) + np.zeros(shape),
        "heavy tails": lambda: np.abs(rng.standard_cauchy(shape)),
        "huge": lambda: 1e6 * rng.uniform(0, 1, shape),
        "one huge": lambda: np.where(np.arange(n) == 0, 1e6, rng.uniform(0, 2, shape)),
        "huge and close": lambda: 1e6 + rng.uniform(0, 2, shape),
    }[kind]()


KINDS = ("uniform", "equal", "zeros", "two groups", "heavy tails", "huge", "one huge", "huge and close")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("m", "n"), [(1, 1), (8, 1), (1, 2), (64, 3), (8, 4), (512, 4), (64, 49), (8, 256), (512, 49), (1, 4096), (8, 4096)]
)
def test_both_constraints_hold(m, n, dtype, rng):
    kinds = KINDS if m * n < 1000 else ("uniform", "two groups", "one huge")
    epsilons = EPSILONS if m * n < 49 else EPSILONS[::2]
    mu = MUS.astype(dtype)
    for kind in kinds:
        cost = tf.constant(cost_of(kind, m, n, rng), dtype)
        for epsilon in epsilons:
            residual, plan = traced_once(dtype)(cost, tf.constant(mu), tf.constant(epsilon, dtype))
            residual, plan = residual.numpy().astype(np.float64), plan.numpy().astype(np.float64)
            assert residual.min() >= 0 and plan.min() >= 0
            place = f"{kind}, epsilon={epsilon}"
            np.testing.assert_allclose(plan.sum(axis=(1, 2)), mu, rtol=0, atol=LIMIT[dtype], err_msg=place)
            # n times the constraint: 1/n alone is below the limit for large n.
            np.testing.assert_allclose(n * (residual + plan.sum(axis=1)), 1, rtol=0, atol=LIMIT[dtype], err_msg=place)


@pytest.mark.parametrize("epsilon", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("mu", [0.2, 0.5, 0.9])
def test_is_the_optimum_that_a_general_convex_solver_finds(mu, epsilon, rng):
    m, n = 2, 4
    cost = rng.uniform(0, 2, (m, n))

    def objective(point):
        entropy = np.sum(point * np.log(point))
        return np.sum(cost.ravel() * point[n:]) + entropy / epsilon

    def slope(point):
        return np.concatenate([np.zeros(n), cost.ravel()]) + (np.log(point) + 1) / epsilon

    columns = np.concatenate([np.eye(n), *[np.eye(n)] * m], axis=1)
    total = np.concatenate([np.zeros(n), np.ones(m * n)])[np.newaxis]
    matrix, right = np.concatenate([columns, total]), np.append(np.full(n, 1 / n), mu)
    start = np.concatenate([np.full(n, (1 - mu) / n), np.full(m * n, mu / (m * n))])
    found = minimize(
        objective, start, jac=slope, method="SLSQP", bounds=[(1e-12, 1)] * start.size,
        constraints={"type": "eq", "fun": lambda point: matrix @ point - right, "jac": lambda point: matrix},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    residual, plan = partial_transport(cost[np.newaxis], mu, epsilon)
    ours = np.concatenate([residual.numpy()[0], plan.numpy()[0].ravel()])
    np.testing.assert_allclose(ours, found.x, rtol=0, atol=2e-6)
    # No feasible point is better than the optimum, and the general solver comes close to it.
    assert -1e-8 < found.fun - objective(ours) < 1e-8


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_satisfies_the_optimality_conditions(epsilon, rng):
    # Stationarity of the Lagrangian: c_ij + (log π_ij − log ρ_j)/ε is one number for all i and j; the problem is
    # convex, so that with the constraints this proves optimality, at any size.
    cost = rng.uniform(0, 300 / epsilon if epsilon > 100 else 2, (3, 16, 49))
    residual, plan = partial_transport(cost, np.array([0.1, 0.5, 0.9]), epsilon)
    multiplier = cost + (np.log(plan.numpy()) - np.log(residual.numpy())[:, np.newaxis]) / epsilon
    spread = multiplier.max(axis=(1, 2)) - multiplier.min(axis=(1, 2))
    np.testing.assert_allclose(spread * epsilon, 0, atol=1e-10)


@pytest.mark.parametrize(("mu", "epsilon"), [(0.3, 0.1), (0.3, 5.0), (1 / 3, 50.0), (0.95, 20.0), (0.01, 1000.0), (1, 5)])
def test_equals_bisection_in_float64(mu, epsilon, rng):
    # Python floats: tf.cast(0.3, tf.float64) would be off by 1e-8.
    cost = rng.uniform(0, 2, (2, 3, 7))
    residual, plan = partial_transport(cost, mu, epsilon)
    expected_residual, expected_plan = reference.solve(cost, [mu, mu], epsilon)
    np.testing.assert_allclose(residual.numpy(), expected_residual, rtol=0, atol=1e-13)
    np.testing.assert_allclose(plan.numpy(), expected_plan, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mu", [0.3, np.array([0.3, 0.3])])
def test_nothing_passes_through_float32(mu, rng):
    cost = rng.uniform(0, 2, (2, 3, 7))
    expected = reference.solve(cost, [0.3, 0.3], 0.1)
    graph = tf.function(lambda c: partial_transport(c, mu, 0.1), input_signature=[tf.TensorSpec((2, 3, 7), tf.float64)])
    for function in (lambda c: partial_transport(c, mu, 0.1), graph):
        residual, plan = function(tf.constant(cost))
        assert residual.dtype == plan.dtype == tf.float64
        np.testing.assert_allclose(residual.numpy(), expected[0], rtol=0, atol=1e-13)
        np.testing.assert_allclose(plan.numpy(), expected[1], rtol=0, atol=1e-13)


def test_one_ratio_for_each_sample(rng):
    cost, mu = rng.uniform(0, 2, (4, 3, 7)), np.array([0.1, 0.5, 0.9, 1.0])
    together = partial_transport(cost, mu, 5.0)
    for b in range(4):
        alone = partial_transport(cost[b : b + 1], mu[b], 5.0)
        np.testing.assert_allclose(together.plan[b : b + 1], alone.plan, rtol=0, atol=1e-15)
        np.testing.assert_allclose(together.residual[b : b + 1], alone.residual, rtol=0, atol=1e-15)


def test_equals_the_published_iteration_where_that_has_converged(rng):
    cost = tf.constant(rng.uniform(0, 1.5, (3, 5, 9)))
    for mu, epsilon in [(0.3, 5.0), (0.7, 2.0), (0.5, 20.0)]:
        residual, plan = partial_transport(cost, mu, epsilon)
        iterated = fixed_point(cost, mu, epsilon, iterations=400)
        np.testing.assert_allclose(residual, iterated.residual, rtol=0, atol=1e-12)
        np.testing.assert_allclose(plan, iterated.plan, rtol=0, atol=1e-12)


def test_all_of_the_mass_is_moved_exactly(rng):
    residual, plan = partial_transport(tf.constant(rng.uniform(0, 2, (2, 4, 6)), tf.float32), 1.0, 5.0)
    assert not residual.numpy().any()
    np.testing.assert_allclose(plan.numpy().sum(axis=1), 1 / 6, rtol=2e-7)


def test_a_large_epsilon_selects_the_nearest_features():
    cost = np.array([[[0.3, 0.1, 0.9, 0.5], [1.0, 1.0, 0.05, 1.0]]])
    _, plan = partial_transport(cost, 0.5, 1000.0)
    np.testing.assert_allclose(plan.numpy()[0], [[0, 0.25, 0, 0], [0, 0, 0.25, 0]], atol=1e-12)


class TestMask:
    mask = np.array([[1, 1, 0, 1, 0, 1, 1], [0, 0, 1, 1, 1, 0, 0], [1] * 7, [0] * 7], bool)

    @pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
    def test_equals_the_sample_without_its_padding(self, dtype, rng):
        cost = rng.uniform(0, 2, (4, 3, 7))
        residual, plan = partial_transport(cost, 0.4, 5.0, mask=self.mask.astype(dtype))
        for b in range(3):
            kept = self.mask[b]
            alone = partial_transport(cost[b : b + 1][:, :, kept], 0.4, 5.0)
            np.testing.assert_allclose(residual.numpy()[b, kept], alone.residual[0], rtol=0, atol=1e-15)
            np.testing.assert_allclose(plan.numpy()[b][:, kept], alone.plan[0], rtol=0, atol=1e-15)
        assert not residual.numpy()[~self.mask].any()
        assert not np.moveaxis(plan.numpy(), 1, 2)[~self.mask].any()

    def test_equals_loops(self, rng):
        cost, mu = rng.uniform(0, 2, (4, 3, 7)), np.array([0.1, 0.5, 0.9, 0.3])
        residual, plan = partial_transport(cost, mu, 5.0, mask=self.mask)
        expected = reference.solve(cost, mu, 5.0, self.mask)
        np.testing.assert_allclose(residual, expected[0], rtol=0, atol=1e-13)
        np.testing.assert_allclose(plan, expected[1], rtol=0, atol=1e-13)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_constraints_hold_for_every_number_of_valid_features(self, dtype, rng):
        n = 49
        mask = np.arange(n) < np.arange(n + 1)[:, np.newaxis]
        cost = tf.constant(rng.uniform(0, 2, (n + 1, 8, n)), dtype)
        for mu in (0.01, 0.3, 0.999, 1.0):
            for epsilon in (0.01, 5.0, 1000.0):
                _, plan = partial_transport(cost, mu, epsilon, mask=mask)
                total = plan.numpy().astype(np.float64).sum(axis=(1, 2))
                np.testing.assert_allclose(total, [0.0] + [mu] * n, rtol=0, atol=LIMIT[dtype])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_solved_in_float32(dtype, rng):
    cost = tf.cast(rng.uniform(0, 2, (2, 3, 49)), dtype)
    residual, plan = partial_transport(cost, 0.3, 5.0)
    exact = partial_transport(tf.cast(cost, tf.float32), 0.3, 5.0)
    assert residual.dtype == plan.dtype == cost.dtype
    np.testing.assert_array_equal(residual, tf.cast(exact.residual, dtype))
    np.testing.assert_array_equal(plan, tf.cast(exact.plan, dtype))


def test_unknown_shapes_and_compilation_give_the_same(rng):
    cost, mask = tf.constant(rng.uniform(0, 2, (3, 4, 6))), tf.constant(rng.uniform(size=(3, 6)) < 0.7)
    eager = partial_transport(cost, 0.3, 5.0, mask)
    spec = [tf.TensorSpec((None, None, None), tf.float64), tf.TensorSpec((None, None), tf.bool)]
    unknown = tf.function(lambda c, k: partial_transport(c, 0.3, 5.0, k), input_signature=spec)(cost, mask)
    compiled = tf.function(lambda c, k: partial_transport(c, 0.3, 5.0, k), jit_compile=True)(cost, mask)
    for other in (unknown, compiled):
        np.testing.assert_allclose(other.residual, eager.residual, rtol=0, atol=1e-15)
        np.testing.assert_allclose(other.plan, eager.plan, rtol=0, atol=1e-15)


def test_static_shapes_are_known():
    traced = tf.function(lambda c: partial_transport(c, 0.3, 5.0)).get_concrete_function(tf.TensorSpec((None, 4, 6)))
    assert [tuple(shape) for shape in traced.output_shapes] == [(None, 6), (None, 4, 6)]


def test_an_empty_batch_gives_an_empty_plan():
    residual, plan = partial_transport(tf.zeros((0, 4, 6)), 0.3, 5.0)
    assert residual.shape == (0, 6) and plan.shape == (0, 4, 6)


class TestErrors:
    cost = np.zeros((2, 3, 4), np.float32)

    @pytest.mark.parametrize("mu", [0, -0.1, 1.0001, float("nan"), [0.5, 1.5], tf.constant(0.0)])
    def test_mu_out_of_range(self, mu):
        with pytest.raises(ValueError, match=r"mu must be in \(0, 1\]; got "):
            partial_transport(self.cost, mu, 5.0)

    @pytest.mark.parametrize("epsilon", [0, -1.0, float("inf"), float("nan")])
    def test_epsilon_out_of_range(self, epsilon):
        with pytest.raises(ValueError, match=r"epsilon must be in \(0, inf\); got "):
            partial_transport(self.cost, 0.3, epsilon)

    def test_symbolic_values_are_checked_when_the_graph_runs(self):
        function = tf.function(lambda mu, epsilon: partial_transport(self.cost, mu, epsilon).plan)
        assert function(tf.constant(0.5), tf.constant(5.0)).shape == (2, 3, 4)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"mu must be in \(0, 1\]"):
            function(tf.constant(1.5), tf.constant(5.0))
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"epsilon must be in \(0, inf\)"):
            function(tf.constant(0.5), tf.constant(0.0))

    def test_dtype(self):
        with pytest.raises(TypeError, match="cost must hold floating-point numbers; got dtype int32: convert it"):
            partial_transport(tf.zeros((2, 3, 4), tf.int32), 0.3, 5.0)

    @pytest.mark.parametrize("shape", [(3, 4), (1, 2, 3, 4)])
    def test_rank_of_cost(self, shape):
        with pytest.raises(ValueError, match=r"cost must have shape \(B, m, n\); got shape"):
            partial_transport(np.zeros(shape), 0.3, 5.0)

    @pytest.mark.parametrize("shape", [(2, 0, 4), (2, 3, 0)])
    def test_nothing_to_transport(self, shape):
        with pytest.raises(ValueError, match="cost must have at least one prototype and one feature; got shape"):
            partial_transport(np.zeros(shape), 0.3, 5.0)

    def test_shapes_of_mu_and_epsilon(self):
        with pytest.raises(ValueError, match=r"mu must have shape \(\) or \(B,\); got shape \(2, 1\) of rank 2"):
            partial_transport(self.cost, [[0.5], [0.5]], 5.0)
        with pytest.raises(ValueError, match=r"mu must have shape \(\) or \(B,\) = \(2,\); got \(3,\)"):
            partial_transport(self.cost, [0.5, 0.5, 0.5], 5.0)
        with pytest.raises(ValueError, match=r"epsilon must have shape \(\); got shape \(2,\)"):
            partial_transport(self.cost, 0.5, [5.0, 5.0])

    def test_shape_of_mask(self):
        with pytest.raises(ValueError, match=r"mask must have shape \(B, n\) = \(2, 4\); got \(2, 3\)"):
            partial_transport(self.cost, 0.5, 5.0, mask=np.ones((2, 3)))
        with pytest.raises(ValueError, match=r"mask must have shape \(B, n\); got shape \(2, 4, 1\) of rank 3"):
            partial_transport(self.cost, 0.5, 5.0, mask=np.ones((2, 4, 1)))
