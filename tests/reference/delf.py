"""Attention pooling of DeLF as plain loops over its formula, one sample at a time, in float64."""

import math


def delf_sample(features, hidden_kernel, hidden_bias, score_kernel, score_bias, valid=None):
    kept = [[float(x) for x in row] for j, row in enumerate(features) if valid is None or valid[j]]
    dim, hidden_dim = len(features[0]), len(hidden_bias)
    numerator, denominator = [0.0] * dim, 0.0
    for row in kept:
        score = float(score_bias[0])
        for h in range(hidden_dim):
            unit = sum(row[k] * hidden_kernel[k][h] for k in range(dim)) + hidden_bias[h]
            score += max(unit, 0.0) * score_kernel[h][0]
        attention = math.log1p(math.exp(score))
        denominator += attention
        numerator = [total + attention * x for total, x in zip(numerator, row, strict=True)]
    return [total / denominator if kept else 0.0 for total in numerator]
