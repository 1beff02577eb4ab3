import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.transport.solver import _hard_threshold, solve_shares

MUS = np.array([0.01, 0.1, 0.25, 0.3, 1 / 3, 0.5, 0.500001, 0.75, 0.95, 0.999, 1.0])
LIMIT = {"float32": 1e-6, "float64": 1e-12}


def scores_of(kind, n, rng):
    """(len(MUS), n) scores: the shapes that make the root hard to find."""
    shape = (len(MUS), n)
    return {
        "normal": lambda: rng.normal(size=shape),
        "equal": lambda: np.full(shape, -3.0),
        "one far": lambda: np.where(np.arange(n) == 0, -300.0, 0.0) + np.zeros(shape),
        "two groups": lambda: np.where(np.arange(n) < n * 0.25, 0.0, -40.0) + np.zeros(shape),
        "two groups, one more": lambda: np.where(np.arange(n) < n * 0.25 + 1, 0.0, -2000.0) + np.zeros(shape),
        "heavy tails": lambda: np.clip(rng.standard_cauchy(shape), -1e6, 1e6),
        "many scales": lambda: -np.exp(rng.uniform(-20, 10, shape)),
        "far from 0": lambda: -1e6 + rng.normal(size=shape),
        # A cost of 1e6 among costs of up to 2, under an ε of 1,000.
        "far-off low score": lambda: np.where(np.arange(n) == 0, -1e9, rng.uniform(0, 2000, shape)),
        "far-off high score": lambda: np.where(np.arange(n) == 0, 1e9, rng.uniform(0, 2000, shape)),
    }[kind]()


KINDS = (
    "normal", "equal", "one far", "two groups", "two groups, one more", "heavy tails", "many scales", "far from 0",
    "far-off low score", "far-off high score",
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_twelve_steps_solve_the_equation(kind, dtype, rng):
    for n in (1, 2, 4, 49, 4096):
        scores = scores_of(kind, n, rng).astype(dtype)
        mu = MUS[:, np.newaxis].astype(dtype)
        share, rest = solve_shares(tf.constant(scores), tf.constant(mu), tf.ones(scores.shape, dtype))
        share, rest = share.numpy().astype(np.float64), rest.numpy().astype(np.float64)
        np.testing.assert_allclose(share.mean(axis=1), mu[:, 0].astype(np.float64), rtol=0, atol=LIMIT[dtype])
        np.testing.assert_allclose(share + rest, 1, rtol=0, atol=LIMIT[dtype])
        # A feature with a higher score gives at least as large a share, up to the sigmoid's own rounding.
        order = np.argsort(scores, axis=1, kind="stable")
        assert np.all(np.diff(np.take_along_axis(share, order, axis=1)) >= -4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threshold_splits_the_highest_share(dtype, rng):
    scores = (rng.normal(size=(5, 9)) * [[1], [1], [1e-6], [1e9], [1]]).astype(dtype)
    valid = np.ones((5, 9), dtype)
    valid[4, 6:] = 0
    ranked = -np.sort(-np.where(valid > 0, scores, -np.inf), axis=1)
    for count in (2, 5):
        # The cut is μ n: given as 1 · count it is whole, and given as 1 · (count + ½) it is within a feature.
        for cut, expected in [(count, ranked[:, count - 1 : count + 1].mean(axis=1)), (count + 0.5, ranked[:, count])]:
            threshold = _hard_threshold(
                tf.constant(scores), tf.ones((5, 1), dtype), tf.constant(valid), tf.fill((5, 1), tf.constant(cut, dtype))
            )
            np.testing.assert_allclose(threshold[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sums_of_thousands_of_features_keep_their_digits(jit_compile, rng):
    # A plain float32 sum is off by 2e-6 here, and by 4e-6 in the order that XLA adds in.
    solve = tf.function(solve_shares, jit_compile=jit_compile)
    n = 4096
    cut = rng.integers(1, n, size=(64, 1))
    scores = np.where(np.arange(n) < cut, 0.0, -2.0).astype(np.float32)
    mu = rng.uniform(0.01, 1, (64, 1)).astype(np.float32)
    share, _ = solve(tf.constant(scores), tf.constant(mu), tf.ones((64, n)))
    np.testing.assert_allclose(share.numpy().astype(np.float64).mean(axis=1), mu[:, 0], rtol=0, atol=4e-7)


def test_small_shares_and_small_rests_are_accurate():
    scores = np.array([[0.0, -60.0], [0.0, 60.0]])
    share, rest = solve_shares(tf.constant(scores), tf.constant([[0.25], [0.75]], tf.float64), tf.ones((2, 2), tf.float64))
    # σ/(1−σ) = e^{x+s}: the odds of the two features differ by e^{∓60}, however small the share.
    odds = np.log(share.numpy()) - np.log(rest.numpy())
    np.testing.assert_allclose(odds[:, 0] - odds[:, 1], [60.0, -60.0], rtol=1e-13)


def test_everything_is_transported_exactly_at_one():
    share, rest = solve_shares(tf.constant([[0.0, -1e6, 5.0]]), tf.constant([[1.0]]), tf.ones((1, 3)))
    assert share.numpy().tolist() == [[1.0, 1.0, 1.0]]
    assert rest.numpy().tolist() == [[0.0, 0.0, 0.0]]


def test_padding_takes_no_part(rng):
    scores = rng.normal(size=(1, 9))
    valid = np.array([[1, 0, 1, 1, 0, 1, 1, 0, 1.0]])
    padded = np.where(valid > 0, scores, 1e30)
    mu = tf.constant([[0.4]], tf.float64)
    share, rest = solve_shares(tf.constant(padded), mu, tf.constant(valid))
    kept, kept_rest = solve_shares(tf.constant(scores[valid > 0][np.newaxis]), mu, tf.ones((1, 6), tf.float64))
    np.testing.assert_allclose(share.numpy()[valid > 0], kept.numpy()[0], rtol=1e-13)
    np.testing.assert_allclose(rest.numpy()[valid > 0], kept_rest.numpy()[0], rtol=1e-13)
    assert not share.numpy()[valid == 0].any() and not rest.numpy()[valid == 0].any()
