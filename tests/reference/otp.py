"""Optimal transport pooling as plain loops over its formula, one sample at a time, in float64."""

import math

from tests.reference.poolings import clip_to_unit_ball, distance


def project(features, projection):
    if projection is None:
        return [[float(u) for u in feature] for feature in features]
    rows, columns = len(projection), len(projection[0])
    return [
        [sum(float(feature[r]) * float(projection[r][c]) for r in range(rows)) for c in range(columns)]
        for feature in features
    ]


def sinkhorn(cost, epsilon, steps):
    """The scaling form: π_ij = a_i e^{−c_ij/ε} b_j, the features' masses last."""
    m, n = len(cost), len(cost[0])
    kernel = [[math.exp(-cost[i][j] / epsilon) for j in range(n)] for i in range(m)]
    b = [1.0] * n
    for _ in range(steps):
        a = [1 / m / sum(kernel[i][j] * b[j] for j in range(n)) for i in range(m)]
        b = [1 / n / sum(kernel[i][j] * a[i] for i in range(m)) for j in range(n)]
    return [[a[i] * kernel[i][j] * b[j] for j in range(n)] for i in range(m)]


def otp_sample(features, prototypes, epsilon, steps, projection=None, valid=None):
    kept = [feature for j, feature in enumerate(features) if valid is None or valid[j]]
    m, width = len(prototypes), len(prototypes[0])
    if not kept:
        return [0.0] * (m * width)
    kept = project(kept, projection)
    cost = [[distance(clip_to_unit_ball(p), clip_to_unit_ball(f)) for f in kept] for p in prototypes]
    plan = sinkhorn(cost, epsilon, steps)
    return [
        math.sqrt(m) * sum(plan[i][j] * feature[k] for j, feature in enumerate(kept))
        for i in range(m) for k in range(width)
    ]
