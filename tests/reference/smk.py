"""SMK pooling as plain loops over its formula, one (H, W, d) map at a time, in float64."""

import math


def norm(vector):
    return math.sqrt(sum(float(u) ** 2 for u in vector))


def neighbourhood(maps, row, column, valid, reach):
    height, width = len(maps), len(maps[0])
    return [
        maps[r][c]
        for r in range(max(row - reach, 0), min(row + reach + 1, height))
        for c in range(max(column - reach, 0), min(column + reach + 1, width))
        if valid is None or valid[r][c]
    ]


def smk_sample(maps, center, whitening, smooth=False, valid=None):
    dim = len(center)
    total, count = [0.0] * dim, 0
    for row in range(len(maps)):
        for column in range(len(maps[0])):
            if valid is not None and not valid[row][column]:
                continue
            count += 1
            near = neighbourhood(maps, row, column, valid, 1 if smooth else 0)
            centered = [sum(float(f[k]) for f in near) / len(near) - float(center[k]) for k in range(dim)]
            whitened = [sum(float(whitening[r][c]) * centered[c] for c in range(dim)) for r in range(dim)]
            length = norm(whitened)
            for k in range(dim):
                total[k] += norm(maps[row][column]) * whitened[k] / length if length > 0 else 0.0
    return [value / max(count, 1) for value in total]
