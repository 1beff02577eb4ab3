
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from gsp_tf.transport.bregman_admm import bregman_admm
from gsp_tf.transport.unbalanced import NOTHING, StepWeights, sinkhorn
from tests.finite_differences import numeric_gradient, relative_error
from tests.reference import unbalanced as reference

SOLVERS = ("sinkhorn", "badmm_entropic", "badmm_quadratic")
UNLIKE = [
    {"alpha1": 1.0, "alpha2": 0.5, "alpha3": 2.0, "rho": 0.7},
    {"alpha1": 0.4, "alpha2": 3.0, "alpha3": 0.2, "rho": 1.5},
    {"alpha1": 2.0, "alpha2": 0.1, "alpha3": 0.9, "rho": 0.4},
]


def regularizer_of(solver):
    return "quadratic" if solver == "badmm_quadratic" else "entropic"


def log_plan(solver, scores, steps, *arguments, **keywords):
    if solver == "sinkhorn":
        return sinkhorn(scores, steps, *arguments, **keywords)
    return bregman_admm(scores, steps, regularizer_of(solver), *arguments, **keywords)


def weights(step, dtype=tf.float64):
    return StepWeights(**{name: tf.constant(value, dtype) for name, value in step.items()})


@pytest.fixture
def problem(rng):
    """Scores (3, 5, 4), and priors (3, 5) and (3, 4)."""
    return rng.normal(size=(3, 5, 4)), rng.dirichlet(np.full(5, 3.0), 3), rng.dirichlet(np.full(4, 3.0), 3)


@pytest.mark.parametrize("solver", SOLVERS)
class TestSteps:
    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_equal_loops(self, solver, count, problem):
        scores, p0, q0 = problem
        steps = UNLIKE[:count]
        mask = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [0, 0, 0, 1, 0]], bool)
        for valid in (None, mask):
            plans = tf.exp(log_plan(solver, tf.constant(scores), [weights(s) for s in steps],
                                    None if valid is None else tf.constant(valid))).numpy()
            for b in range(3):
                expected = reference.plan_of(solver, scores[b], steps, None if valid is None else valid[b])
                np.testing.assert_allclose(plans[b], expected, rtol=1e-9, atol=1e-12)
        plans = tf.exp(log_plan(solver, tf.constant(scores), [weights(s) for s in steps], tf.constant(mask),
                                log_p0=np.log(p0), log_q0=np.log(q0))).numpy()
        for b in range(3):
            expected = reference.plan_of(solver, scores[b], steps, mask[b], p0[b], q0[b])
            np.testing.assert_allclose(plans[b], expected, rtol=1e-9, atol=1e-12)

    def test_priors_may_be_one_for_all_samples(self, solver, problem):
        scores, p0, q0 = problem
        steps = [weights(s) for s in UNLIKE]
        one = log_plan(solver, tf.constant(scores), steps, None, np.log(p0[0]), np.log(q0[0]))
        each = log_plan(solver, tf.constant(scores), steps, None, np.log(p0[[0] * 3]), np.log(q0[[0] * 3]))
        np.testing.assert_array_equal(one, each)

    def test_the_mass_is_one_and_padding_has_none(self, solver, problem):
        scores = tf.constant(problem[0] * 50, tf.float32)
        mask = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [0, 0, 0, 0, 0]], bool)
        result = log_plan(solver, scores, [weights(s, tf.float32) for s in UNLIKE], tf.constant(mask)).numpy()
        np.testing.assert_allclose(np.exp(result).sum(axis=(1, 2)), [1, 1, 0], atol=1e-5)
        assert np.all(result[~mask] == np.float32(NOTHING))

    def test_a_constant_added_to_the_scores_changes_nothing(self, solver, problem):
        scores, steps = problem[0], [weights(s) for s in UNLIKE]
        plan = log_plan(solver, tf.constant(scores), steps)
        np.testing.assert_allclose(log_plan(solver, tf.constant(scores + 1e3), steps), plan, atol=1e-10)

    def test_zero_weights_of_the_marginals_leave_them_free(self, solver, problem):
        # Without either KL term the problem is one of all entries alike.
        scores = problem[0]
        step = weights({"alpha1": 1.0, "alpha2": 0.0, "alpha3": 0.0, "rho": 0.5})
        plan = tf.exp(log_plan(solver, tf.constant(scores), [step] * 300)).numpy().reshape(3, 20)
        if solver == "badmm_quadratic":
            # The Euclidean projection on the simplex, of which the zeros are approached slowly.
            ordered = np.sort(scores.reshape(3, 20), axis=1)[:, ::-1]
            tops = (np.cumsum(ordered, axis=1) - 1) / np.arange(1, 21)
            threshold = np.max(tops, axis=1, keepdims=True)
            expected = np.maximum(scores.reshape(3, 20) - threshold, 0)
        else:
            expected = tf.nn.softmax(scores.reshape(3, 20)).numpy()
        np.testing.assert_allclose(plan, expected, atol=2e-3 if solver == "badmm_quadratic" else 1e-6)


CONVERGING = [
    {"alpha1": 1.0, "alpha2": 1.0, "alpha3": 1.0},
    {"alpha1": 2.0, "alpha2": 0.1, "alpha3": 0.3},
    {"alpha1": 1.0, "alpha2": 2.0, "alpha3": 0.7},
    {"alpha1": 1.0, "alpha2": 0.0, "alpha3": 5.0},
]
# The penalty that converges fastest, and how near a thousand steps come: zeros of a plan are approached slowly.
RHO = {"sinkhorn": 1.0, "badmm_entropic": 8.0, "badmm_quadratic": 2.0}
NEAR = {"sinkhorn": 2e-6, "badmm_entropic": 2e-6, "badmm_quadratic": 1e-4}


def best_plan(X, step, regularizer, p0, q0):
    """The optimum by sequential quadratic programming, which shares nothing with the steps."""
    n, d = X.shape
    found = minimize(
        lambda P: -reference.objective(P.reshape(n, d), X, step, regularizer, p0, q0),
        np.outer(p0, q0).ravel(),
        # The constant that the gradient leaves out is Σ α, from the derivatives of x log x.
        jac=lambda P: -reference.objective_gradient(P.reshape(n, d), X, step, regularizer, p0, q0).ravel()
        + step["alpha2"] + step["alpha3"] + (step["alpha1"] if regularizer == "entropic" else 0),
        bounds=[(1e-14, 1)] * (n * d), method="SLSQP", options={"maxiter": 2000, "ftol": 1e-15},
        constraints={"type": "eq", "fun": lambda P: P.sum() - 1, "jac": lambda P: np.ones(n * d)},
    )
    assert found.success
    return found.x.reshape(n, d)


def converged(solver, scores, settings, p0, q0):
    """One plan for each setting, all solved at once."""
    count = len(settings)
    step = StepWeights(rho=tf.constant(RHO[solver], tf.float64), **{
        name: tf.constant([setting[name] for setting in settings], tf.float64)[:, tf.newaxis, tf.newaxis]
        for name in settings[0]
    })
    repeated = tf.constant(np.repeat(scores[np.newaxis], count, axis=0))
    steps = [step] * (100 if solver == "sinkhorn" else 1000)
    return tf.exp(log_plan(solver, repeated, steps, None, np.log(p0), np.log(q0))).numpy()


@pytest.mark.parametrize("solver", SOLVERS)
class TestOptimum:
    def test_many_steps_reach_it(self, solver, problem):
        scores, p0, q0 = (part[0] for part in problem)
        regularizer = regularizer_of(solver)
        plans = converged(solver, scores, CONVERGING, p0, q0)
        for plan, setting in zip(plans, CONVERGING, strict=True):
            expected = best_plan(scores, setting, regularizer, p0, q0)
            np.testing.assert_allclose(plan, expected, atol=NEAR[solver])
            arguments = (scores, setting, regularizer, p0, q0)
            reached, best = (reference.objective(P, *arguments) for P in (plan, expected))
            assert abs(reached - best) < NEAR[solver]
            # Stationary: the gradient is the same at all entries with mass.
            gradient = reference.objective_gradient(plan, *arguments)
            np.testing.assert_allclose(gradient[plan > 1e-3], gradient.max(), atol=50 * NEAR[solver])

    def test_strict_marginals_are_the_priors(self, solver, problem):
        scores, p0, q0 = (part[0] for part in problem)
        settings = [{"alpha1": 1.0, "alpha2": a2, "alpha3": a3} for a2, a3 in [(1e7, 1e7), (1e7, 0.5), (0.5, 1e7)]]
        both, one, other = converged(solver, scores, settings, p0, q0)
        np.testing.assert_allclose(both.sum(axis=1), p0, atol=1e-5)
        np.testing.assert_allclose(both.sum(axis=0), q0, atol=1e-5)
        np.testing.assert_allclose(one.sum(axis=1), p0, atol=1e-5)
        np.testing.assert_allclose(other.sum(axis=0), q0, atol=1e-5)
        assert np.abs(one.sum(axis=0) - q0).max() > 1e-2 < np.abs(other.sum(axis=1) - p0).max()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_prior_over_places_pools_by_attention(solver, problem):
    # arXiv 2201.09191: with both marginals strict and a large α₁ the plan is p₀ q₀ᵀ, whatever the scores.
    scores, attention, _ = problem
    step = weights({"alpha1": 1e5, "alpha2": 1e12, "alpha3": 1e12, "rho": 1e5})
    shares = tf.nn.softmax(log_plan(solver, tf.constant(scores), [step] * 4, None, np.log(attention)), axis=1)
    np.testing.assert_allclose(shares, np.repeat(attention[:, :, np.newaxis], 4, axis=2), atol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
class TestGradient:
    def test_of_the_scores(self, solver, problem, rng):
        scores, part = problem[0][0], rng.normal(size=(5, 4))
        mask = np.array([1, 1, 0, 1, 1], bool)
        steps = [weights(s) for s in UNLIKE]

        def losses(stack):
            valid = tf.constant(np.repeat(mask[np.newaxis], len(stack), axis=0))
            return tf.reduce_sum(part * tf.exp(log_plan(solver, stack, steps, valid)), axis=(1, 2))

        inputs = tf.constant(scores[np.newaxis])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = losses(inputs)
        gradient = tape.gradient(loss, inputs)[0]
        assert not np.any(gradient.numpy()[~mask])
        assert relative_error(gradient, numeric_gradient(lambda x: losses(tf.constant(x)), scores)) < 1e-6

    def test_of_the_weights(self, solver, problem, rng):
        scores, part = problem[0][0], rng.normal(size=(5, 4))
        names = [name for name in UNLIKE[0] if name != "rho" or solver != "sinkhorn"]
        values = np.array([[step[name] for name in names] for step in UNLIKE])

        def losses(stack):
            columns = stack[:, :, :, tf.newaxis, tf.newaxis]
            steps = [StepWeights(**{name: columns[:, k, i] for i, name in enumerate(names)}) for k in range(3)]
            repeated = tf.repeat(tf.constant(scores[np.newaxis]), tf.shape(stack)[0], axis=0)
            return tf.reduce_sum(part * tf.exp(log_plan(solver, repeated, steps)), axis=(1, 2))

        inputs = tf.constant(values[np.newaxis])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = losses(inputs)
        gradient = tape.gradient(loss, inputs)[0].numpy()
        assert np.all(gradient)
        assert relative_error(gradient, numeric_gradient(lambda x: losses(tf.constant(x)), values)) < 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha1", [1e-6, 1.0, 1e6])
def test_the_log_domain_is_finite_over_the_range_of_float32(solver, alpha1, rng):
    sizes, marginals = np.meshgrid([0.0, 1e-30, 1.0, 1e4, 1e8], [1e-9, 1.0, 1e9])
    scores = tf.constant(sizes.reshape(-1, 1, 1) * rng.normal(size=(15, 6, 4)), tf.float32)
    free = tf.constant(marginals.reshape(-1, 1, 1), tf.float32)
    for count in (6, 3, 0):
        mask = tf.constant(np.repeat(np.arange(6)[np.newaxis] < count, 15, axis=0))
        for rho in (1e-6, 1.0):
            step = StepWeights(tf.fill((15, 1, 1), alpha1), free, free, tf.fill((15, 1, 1), rho))
            with tf.GradientTape() as tape:
                tape.watch([scores, *step[:4]])
                plan = tf.exp(log_plan(solver, scores, [step] * 4, mask))
                loss = tf.reduce_sum(plan[:, :, 0] ** 2)
            np.testing.assert_allclose(tf.reduce_sum(plan, axis=(1, 2)), [float(count > 0)] * 15, atol=1e-5)
            for gradient in tape.gradient(loss, [scores, *step[:4]], unconnected_gradients="zero"):
                assert np.all(np.isfinite(gradient)), (count, rho)


def test_another_regularizer_is_refused():
    with pytest.raises(ValueError, match="regularizer must be one of 'entropic', 'quadratic'; got 'l1'"):
        bregman_admm(tf.zeros((1, 2, 2)), [StepWeights(1.0, 1.0, 1.0)], "l1")
