"""The zero-shot regulariser as plain loops, with the ridge regression by Gaussian elimination."""

import math


def _solve(matrix, right):
    """Solve matrix · X = right by Gaussian elimination with row pivots."""
    n = len(matrix)
    rows = [list(map(float, matrix[i])) + list(map(float, right[i])) for i in range(n)]
    for column in range(n):
        pivot = max(range(column, n), key=lambda i: abs(rows[i][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for i in range(n):
            if i != column:
                factor = rows[i][column] / rows[column][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [[value / rows[i][i] for value in rows[i][n:]] for i in range(n)]


def ridge(rows, targets, weight):
    """W = (ZᵀZ + ϵI)⁻¹ ZᵀΥ, (m, d_e), from |b| rows Z and targets Υ."""
    m, d = len(rows[0]), len(targets[0])
    gram = [[sum(z[i] * z[k] for z in rows) + (weight if i == k else 0.0) for k in range(m)] for i in range(m)]
    right = [[sum(z[i] * u[e] for z, u in zip(rows, targets, strict=True)) for e in range(d)] for i in range(m)]
    return _solve(gram, right)


def _cross_entropy(scores, label):
    largest = max(scores)
    return largest + math.log(sum(math.exp(score - largest) for score in scores)) - scores[label]


def zero_shot_loss(histograms, labels, embeddings, ridge_weight, scale):
    """L_ZS: the first ⌊C/2⌋ classes of the batch, by order of appearance, are one half, the rest the other."""
    order = []
    for label in labels:
        if int(label) not in order:
            order.append(int(label))
    if len(order) < 2:
        return 0.0
    head = set(order[: len(order) // 2])
    halves = [
        [b for b in range(len(labels)) if int(labels[b]) in head],
        [b for b in range(len(labels)) if int(labels[b]) not in head],
    ]
    total = 0.0
    for fitted, judged in (halves, halves[::-1]):
        weights = ridge([histograms[b] for b in fitted], [embeddings[int(labels[b])] for b in fitted], ridge_weight)
        entropy = 0.0
        for b in judged:
            m, d = len(weights), len(weights[0])
            predicted = [sum(histograms[b][i] * weights[i][e] for i in range(m)) for e in range(d)]
            scores = [scale * sum(p * float(u) for p, u in zip(predicted, row, strict=True)) for row in embeddings]
            entropy += _cross_entropy(scores, int(labels[b]))
        total += entropy / len(judged)
    return total
