"""Convolutional block attention and average pooling as plain loops, one sample at a time, in float64."""

import math


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def cbam_sample(maps, hidden_kernel, hidden_bias, channel_kernel, channel_bias, place_kernel, place_bias, valid=None):
    """Pool one (H, W, d) map; ``valid`` is (H, W)."""
    height, width, dim = maps.shape
    kept = [(y, x) for y in range(height) for x in range(width) if valid is None or valid[y][x]]
    if not kept:
        return [0.0] * dim

    def mlp(vector):
        hidden = [
            max(sum(vector[k] * hidden_kernel[k][h] for k in range(dim)) + hidden_bias[h], 0.0)
            for h in range(len(hidden_bias))
        ]
        return [
            sum(unit * channel_kernel[h][k] for h, unit in enumerate(hidden)) + channel_bias[k] for k in range(dim)
        ]

    average = mlp([sum(maps[y][x][k] for y, x in kept) / len(kept) for k in range(dim)])
    largest = mlp([max(maps[y][x][k] for y, x in kept) for k in range(dim)])
    channels = [sigmoid(a + b) for a, b in zip(average, largest, strict=True)]
    weighted = {(y, x): [channels[k] * maps[y][x][k] for k in range(dim)] for y, x in kept}
    half = len(place_kernel) // 2
    pooled = [0.0] * dim
    for y, x in kept:
        score = float(place_bias[0])
        for dy in range(-half, half + 1):
            for dx in range(-half, half + 1):
                # Neither border nor masked places are in ``weighted``: they count 0.
                neighbour = weighted.get((y + dy, x + dx))
                if neighbour is not None:
                    kernel = place_kernel[dy + half][dx + half]
                    score += kernel[0][0] * sum(neighbour) / dim + kernel[1][0] * max(neighbour)
        place = sigmoid(score)
        pooled = [total + place * value / len(kept) for total, value in zip(pooled, weighted[y, x], strict=True)]
    return pooled
