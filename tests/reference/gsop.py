"""Second-order channel weighting as plain loops over its formula, one sample at a time, in float64."""

import math


def gsop_sample(features, reduction, row_kernel, row_bias, channel_kernel, channel_bias, valid=None):
    kept = [[float(x) for x in row] for j, row in enumerate(features) if valid is None or valid[j]]
    dim, (reduced, expansion) = len(features[0]), row_bias.shape
    if not kept:
        return [0.0] * dim
    small = [[sum(row[k] * reduction[k][i] for k in range(dim)) for i in range(reduced)] for row in kept]
    mean = [sum(row[i] for row in small) / len(kept) for i in range(reduced)]
    flat = []
    for i in range(reduced):
        covariance = [
            sum((row[i] - mean[i]) * (row[k] - mean[k]) for row in small) / len(kept) for k in range(reduced)
        ]
        for e in range(expansion):
            flat.append(sum(covariance[k] * row_kernel[i][k][e] for k in range(reduced)) + row_bias[i][e])
    pooled = []
    for k in range(dim):
        score = sum(value * channel_kernel[t][k] for t, value in enumerate(flat)) + channel_bias[k]
        pooled.append(sum(row[k] for row in kept) / len(kept) / (1 + math.exp(-score)))
    return pooled
