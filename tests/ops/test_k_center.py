import itertools

import numpy as np
import pytest

from gsp_tf.ops.k_center import greedy_k_center
from tests.reference import k_center as reference


@pytest.mark.parametrize("count", [1, 4, 30])
def test_equals_loops_from_given_centers(count, rng):
    points, centers = rng.normal(size=(30, 3)), rng.normal(size=(2, 3))
    picks = greedy_k_center(points, count, centers)
    assert picks.tolist() == reference.greedy_k_center(points, count, centers)


def test_without_centers_the_first_pick_is_drawn(rng):
    points = rng.normal(size=(40, 2))
    picks = greedy_k_center(points, 6, seed=3)
    assert picks[1:].tolist() == reference.greedy_k_center(points, 5, points[picks[:1]])
    assert picks.tolist() == greedy_k_center(points, 6, seed=3).tolist()
    assert len({greedy_k_center(points, 1, seed=seed)[0] for seed in range(20)}) > 5
    assert picks.tolist() == greedy_k_center(points, 6, centers=np.zeros((0, 2)), seed=3).tolist()


def test_covers_within_twice_the_best_possible(rng):
    points = rng.normal(size=(9, 2))
    best = min(reference.covering_radius(points, points[list(some)]) for some in itertools.combinations(range(9), 3))
    for seed in range(9):
        picks = greedy_k_center(points, 3, seed=seed)
        assert reference.covering_radius(points, points[picks]) <= 2 * best


def test_no_point_twice_even_among_duplicates():
    assert sorted(greedy_k_center(np.ones((5, 2)), 5).tolist()) == [0, 1, 2, 3, 4]


def test_errors():
    with pytest.raises(ValueError, match=r"points must have shape \(N, d\) with N of at least count=4; got shape \(3, 2\)"):
        greedy_k_center(np.zeros((3, 2)), 4)
    with pytest.raises(ValueError, match=r"points must have shape \(N, d\)"):
        greedy_k_center(np.zeros(3), 1)
    with pytest.raises(ValueError, match="points must be finite; got NaN or Inf: look for a diverged model"):
        greedy_k_center(np.array([[0.0], [np.nan]]), 1)
