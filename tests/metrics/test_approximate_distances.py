import numpy as np
import pytest

from gsp_tf.metrics.approximate_distances import ApproximateDistances


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 3, 64, 300])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_error_is_within_its_bound(dtype, dim, offset):
    rng = np.random.default_rng(dim)
    queries = offset + 0.1 * rng.normal(size=(30, dim))
    references = (offset + 0.1 * rng.normal(size=(70, dim))).astype(np.float32)
    references[:30] = queries + 1e-4 * rng.normal(size=(30, dim))
    order = rng.permutation(70)[:60]
    distances = ApproximateDistances(queries, references, order, exponent=0)
    factors, error = distances.query_factors(np.arange(5, 30), dtype)
    measured = distances.products(factors, 10, 60, np.empty((25, 50), dtype))

    assert measured.dtype == dtype
    difference = queries[5:30, None].astype(np.longdouble) - references[order[10:60]][None]
    exact = np.square(difference).sum(axis=2)
    worst = np.abs(measured - exact).max(axis=1)
    assert np.all(worst <= error)
    # The bound says something: it is far below the distances, about the common offset, too.
    assert error.max() < (1e-3 if dtype is np.float32 else 1e-12) * np.median(exact)
    assert worst.max() > error.max() / 1e4


def test_exponent_scales_the_distances():
    rng = np.random.default_rng(0)
    rows = np.ldexp(rng.normal(size=(8, 3)), 600)
    distances = ApproximateDistances(rows, rows, np.arange(8), exponent=-602)
    factors, error = distances.query_factors(np.arange(8), np.float32)
    measured = distances.products(factors, 0, 8, np.empty((8, 8), np.float32))
    scaled = np.ldexp(rows, -602)
    exact = np.square(scaled[:, None] - scaled[None]).sum(axis=2)
    assert np.all(np.abs(measured - exact) <= error[:, None])
    assert np.all(np.isfinite(error)) and error.max() < 1e-4


def test_tiles_agree():
    # More references than are centred at a time.
    rng = np.random.default_rng(0)
    queries, references = rng.normal(size=(4, 3)), rng.normal(size=(2500, 3))
    distances = ApproximateDistances(queries, references, np.arange(2500), exponent=0)
    exact = np.square(queries[:, None] - references[None]).sum(axis=2)
    for dtype in (np.float32, np.float64):
        factors, error = distances.query_factors(np.arange(4), dtype)
        measured = distances.products(factors, 100, 2500, np.empty((4, 2400), dtype))
        assert np.all(np.abs(measured - exact[:, 100:]) <= error[:, None])
