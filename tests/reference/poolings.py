"""The poolings as plain loops over their formulas, one sample at a time, in float64."""

import math

from tests.reference.gem import gem_sample
from tests.reference.transport import solve_sample


def clip_to_unit_ball(vector):
    length = math.sqrt(sum(float(u) ** 2 for u in vector))
    return [float(u) / max(1.0, length) for u in vector]


def distance(x, y):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))


def gsp_sample(features, prototypes, mu, epsilon, reduce="sum", valid=None, p=3.0):
    """``(pooled, histogram, weights)`` of one sample of (n, d) features and (m, d) prototypes."""
    n, d, m = len(features), len(features[0]), len(prototypes)
    kept = [j for j in range(n) if valid is None or valid[j]]
    cost = [[0.0] * n for _ in range(m)]
    for i in range(m):
        for j in kept:
            cost[i][j] = distance(clip_to_unit_ball(prototypes[i]), clip_to_unit_ball(features[j]))
    _, plan = solve_sample(cost, mu, epsilon, valid)
    weights = [sum(plan[i][j] for i in range(m)) / mu for j in range(n)]
    histogram = [sum(plan[i][j] for j in range(n)) / mu for i in range(m)]
    pooled = []
    if reduce == "gem":
        weighted = [[len(kept) * weights[j] * float(x) for x in features[j]] for j in range(n)]
        return gem_sample(weighted, p, valid), histogram, weights
    for channel in range(d):
        if reduce == "max":
            terms = [len(kept) * weights[j] * float(features[j][channel]) for j in kept]
            pooled.append(max(terms) if terms else 0.0)
        else:
            pooled.append(sum(weights[j] * float(features[j][channel]) for j in kept))
        if reduce == "sum+max":
            pooled[-1] += max((float(features[j][channel]) for j in kept), default=0.0)
    return pooled, histogram, weights


def gap_sample(features, valid=None):
    kept = [j for j in range(len(features)) if valid is None or valid[j]]
    return [sum(float(features[j][k]) for j in kept) / max(len(kept), 1) for k in range(len(features[0]))]


def gmp_sample(features, valid=None):
    kept = [j for j in range(len(features)) if valid is None or valid[j]]
    return [max((float(features[j][k]) for j in kept), default=0.0) for k in range(len(features[0]))]


def gap_gmp_sample(features, valid=None):
    both = zip(gap_sample(features, valid), gmp_sample(features, valid), strict=True)
    return [average + largest for average, largest in both]
