"""NetVLAD as plain loops over its formula, one sample at a time, in float64."""

import math

from tests.reference.otp import project


def netvlad_sample(features, centers, assignment, bias, projection=None, valid=None):
    kept = project([feature for j, feature in enumerate(features) if valid is None or valid[j]], projection)
    m, width = len(centers), len(centers[0])
    blocks = [[0.0] * width for _ in range(m)]
    for feature in kept:
        scores = [
            sum(float(w) * f for w, f in zip(assignment[k], feature, strict=True)) + float(bias[k]) for k in range(m)
        ]
        largest = max(scores)
        total = sum(math.exp(score - largest) for score in scores)
        for k in range(m):
            share = math.exp(scores[k] - largest) / total
            for c in range(width):
                blocks[k][c] += share * (feature[c] - float(centers[k][c]))
    pooled = []
    for block in blocks:
        length = math.sqrt(sum(v * v for v in block))
        pooled.extend(v / length if length > 1e-12 else 0.0 for v in block)
    return pooled
