"""Generalised max pooling from its dual form, one sample at a time, in float64."""

import numpy as np


def gemax_sample(features, ridge, valid=None):
    """s Fᵀ (F Fᵀ + ridge · s · I)⁻¹ 1 with the mean squared norm s of the valid features."""
    kept = np.array([features[j] for j in range(len(features)) if valid is None or valid[j]], np.float64)
    if not kept.any():
        return np.zeros(len(features[0]))
    energy = sum(value**2 for row in kept for value in row) / len(kept)
    similarities = np.array([[sum(x * y for x, y in zip(a, b, strict=True)) for b in kept] for a in kept])
    weights = np.linalg.solve(similarities + ridge * energy * np.eye(len(kept)), np.ones(len(kept)))
    return energy * sum(weight * row for weight, row in zip(weights, kept, strict=True))
