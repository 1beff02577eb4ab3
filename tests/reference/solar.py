"""SOLAR pooling as plain loops over its formula, one sample at a time, in float64."""

import math


def linear(vector, kernel, bias=None):
    return [
        sum(float(vector[r]) * float(kernel[r][c]) for r in range(len(vector))) + (0.0 if bias is None else float(bias[c]))
        for c in range(len(kernel[0]))
    ]


def generalized_mean_sample(features, p):
    return [
        (sum(max(float(feature[k]), 1e-6) ** p for feature in features) / len(features)) ** (1 / p)
        for k in range(len(features[0]))
    ]


def solar_sample(features, maps, p, valid=None):
    """``maps`` holds [kernel, bias] of "query", "value" and "output", and the [kernel] of "key"."""
    kept = [feature for j, feature in enumerate(features) if valid is None or valid[j]]
    if not kept:
        return [0.0] * len(features[0])
    query, key, value = ([linear(f, *maps[name]) for f in kept] for name in ("query", "key", "value"))
    reduced = len(query[0])
    changed = []
    for j, feature in enumerate(kept):
        scores = [sum(a * b for a, b in zip(query[j], k, strict=True)) / math.sqrt(reduced) for k in key]
        largest = max(scores)
        weights = [math.exp(score - largest) for score in scores]
        attended = [sum(w * v[c] for w, v in zip(weights, value, strict=True)) / sum(weights) for c in range(reduced)]
        changed.append([float(f) + o for f, o in zip(feature, linear(attended, *maps["output"]), strict=True)])
    return generalized_mean_sample(changed, p)
