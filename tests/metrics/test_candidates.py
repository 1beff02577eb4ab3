import itertools

import numpy as np
import pytest

from gsp_tf.metrics.approximate_distances import ApproximateDistances
from gsp_tf.metrics.candidates import (
    Candidates,
    TooManyCandidatesError,
    collection_sums,
    mean_sum,
    pair_bytes,
    smallest_sum,
)

QUERIES, REFERENCES, WANTED = 20, 9000, 10


def models(kind, repeats=(1,)):
    """Distances of one model or of several, and the exact squared distances (queries, references) of each."""
    rng = np.random.default_rng(0)
    spread = 1e5 if kind == "far groups" else 0.0
    base = rng.normal(size=(REFERENCES, 8)) + spread * rng.integers(0, 3, size=(REFERENCES, 1))
    folds = [[base + 0.05 * rng.normal(size=base.shape) for _ in range(number)] for number in repeats]
    distances = [[ApproximateDistances(x, x, np.arange(REFERENCES), exponent=0) for x in fold] for fold in folds]
    return distances, [[np.square(x[:QUERIES, None] - x).sum(axis=2) for x in fold] for fold in folds]


def candidates_of(distances, memory_bytes=2**26):
    return Candidates(distances, np.arange(QUERIES), np.ones(REFERENCES, int), WANTED, memory_bytes)


@pytest.mark.parametrize(("kind", "dtype"), [("one group", np.float32), ("far groups", np.float64)])
@pytest.mark.parametrize("repeats", [(1,), (2, 3)])
def test_candidates_are_the_nearest_and_few_others(kind, dtype, repeats):
    distances, exact = models(kind, repeats)
    candidates = candidates_of(distances)
    assert candidates.error.dtype == dtype
    assert np.all(np.diff(candidates.row) >= 0)
    sums = [sum(parts) for parts in itertools.product(*exact)]
    for total, (chosen, approximate) in zip(sums, candidates.of_collections(), strict=True):
        row, reference = candidates.row[chosen], candidates.reference[chosen]
        assert np.all(np.abs(approximate - total[row, reference]) <= candidates.error[row])
        for i in range(QUERIES):
            nearest = np.argsort(total[i])[:WANTED]
            assert set(nearest) <= set(reference[row == i])
        assert len(chosen) < 1.2 * WANTED * QUERIES
    assert len(candidates.row) < 4 * WANTED * QUERIES


def test_too_many_candidates():
    distances, _ = models("one group")
    candidates_of(distances, memory_bytes=50 * WANTED * QUERIES * pair_bytes(1))
    with pytest.raises(TooManyCandidatesError):
        candidates_of(distances, memory_bytes=WANTED * QUERIES * pair_bytes(1))


def test_sums_over_collections():
    folds = [[np.array([1.0, 5.0]), np.array([2.0, 3.0])], [np.array([10.0, 40.0])], [np.full(2, x) for x in (0.0, 0.5, 1.0)]]
    sums = list(collection_sums(folds))
    assert [total.tolist() for total in sums] == [
        [11.0, 45.0], [11.5, 45.5], [12.0, 46.0], [12.0, 43.0], [12.5, 43.5], [13.0, 44.0],
    ]
    assert smallest_sum(folds).tolist() == [11.0, 43.0]
    assert mean_sum(folds).tolist() == [12.0, 44.5]
