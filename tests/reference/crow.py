"""Cross-dimensional weighting as plain loops over its formula, one sample at a time, in float64."""

import math


def crow_sample(features, valid=None, epsilon=1e-6):
    kept = [[float(x) for x in row] for j, row in enumerate(features) if valid is None or valid[j]]
    dim = len(features[0])
    if not kept:
        return [0.0] * dim
    totals = [sum(max(x, 0.0) for x in row) for row in kept]
    norm = math.sqrt(sum(total**2 for total in totals))
    places = [math.sqrt(total / norm) if total > 0 else 0.0 for total in totals]
    frequency = [sum(row[k] > 0 for row in kept) / len(kept) for k in range(dim)]
    pooled = []
    for k in range(dim):
        weight = math.log((dim * epsilon + sum(frequency)) / (epsilon + frequency[k]))
        pooled.append(weight * sum(place * row[k] for place, row in zip(places, kept, strict=True)))
    return pooled
