"""Greedy k-center as plain loops (algorithm 2 of the thesis)."""

import math


def _distance(x, y):
    return math.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True)))


def greedy_k_center(points, count, centers):
    """Indices of ``count`` points, each the farthest from the centers and from the points picked before."""
    picks = []
    for _ in range(count):
        best, best_distance = None, -1.0
        for u in range(len(points)):
            if u in picks:
                continue
            near = min(
                [_distance(points[u], center) for center in centers] + [_distance(points[u], points[v]) for v in picks]
            )
            if near > best_distance:
                best, best_distance = u, near
        picks.append(best)
    return picks


def covering_radius(points, centers):
    return max(min(_distance(point, center) for center in centers) for point in points)
