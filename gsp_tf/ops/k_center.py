"""Greedy k-center: a small set of points that covers a bag of points."""

import numpy as np


def greedy_k_center(points, count, centers=None, seed=0):
    """Pick ``count`` of the points, each time the one farthest from all centers so far.

    q = argmax_u min_v ‖u − v‖₂ over the points u and the centers v (algorithm 2 of the thesis). The first pick,
    when there are no centers to start with, is drawn with ``seed``. The covering radius of the result is at most
    twice the best possible.

    Args:
        points: (N, d) array.
        count: how many to pick, 1 ≤ count ≤ N.
        centers: (k, d) array of centers that exist already, or None.
        seed: int or ``numpy.random.Generator``; ties go to the smallest index.

    Returns:
        (count,) int array: indices into ``points``.

    Raises:
        ValueError: if there are fewer points than ``count``, or a point is not finite.

    >>> greedy_k_center(np.array([[0.0], [0.1], [5.0], [9.0]]), 2, centers=np.array([[0.0]])).tolist()
    [3, 2]
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or not 1 <= count <= len(points):
        raise ValueError(f"points must have shape (N, d) with N of at least count={count}; got shape {points.shape}")
    if not np.all(np.isfinite(points)):
        raise ValueError("points must be finite; got NaN or Inf: look for a diverged model or unnormalised inputs")
    picks = []
    if centers is None or len(centers) == 0:
        picks.append(int(np.random.default_rng(seed).integers(len(points))))
        nearest = np.linalg.norm(points - points[picks[0]], axis=1)
    else:
        nearest = np.min([np.linalg.norm(points - center, axis=1) for center in np.asarray(centers)], axis=0)
    while len(picks) < count:
        # A point is picked once at most, also where the rest are duplicates at distance 0.
        nearest[picks] = -1.0
        farthest = int(np.argmax(nearest))
        picks.append(farthest)
        nearest = np.minimum(nearest, np.linalg.norm(points - points[farthest], axis=1))
    return np.array(picks)
