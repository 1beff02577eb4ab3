"""The layers of convolutional networks on one (H, W, C) map, window by window."""

import math

import numpy as np


def windows(features, size, strides, rows, columns):
    """Yield every window of a map that is padded already, with its place; the last ones may be cut off."""
    for i in range(rows):
        for j in range(columns):
            top, left = i * strides, j * strides
            yield i, j, features[top : top + size, left : left + size]


def pad(features, width):
    return np.pad(features, ((width, width), (width, width), (0, 0)))


def convolve(features, kernel, bias=None, strides=1):
    """Correlate with a (k, k, C, D) kernel, ⌊k/2⌋ zeros on every side."""
    size = kernel.shape[0]
    padded = pad(features, size // 2)
    rows, columns = ((length - size) // strides + 1 for length in padded.shape[:2])
    output = np.zeros((rows, columns, kernel.shape[3]))
    for i, j, window in windows(padded, size, strides, rows, columns):
        output[i, j] = np.tensordot(window, kernel, 3) + (0.0 if bias is None else bias)
    return output


def normalize(features, tensors, name, epsilon):
    """Batch-norm by the moving statistics under ``name`` of a dict of ``layer/variable``."""
    gamma, beta, mean, variance = (
        tensors[f"{name}/{variable}"] for variable in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return (features - mean) / np.sqrt(variance + epsilon) * gamma + beta


def relu(features):
    return np.maximum(features, 0.0)


def ceil_max_pool(features, size=3, strides=2):
    """Largest of every window that begins within the map, as many as rounding up gives, without any padding."""
    rows, columns = (math.ceil((length - size) / strides) + 1 for length in features.shape[:2])
    output = np.zeros((rows, columns, features.shape[2]))
    for i, j, window in windows(features, size, strides, rows, columns):
        output[i, j] = window.max(axis=(0, 1))
    return output


def padded_max_pool(features, strides):
    """Largest of every 3×3 window over a border of nothing."""
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    rows, columns = ((length - 3) // strides + 1 for length in padded.shape[:2])
    output = np.zeros((rows, columns, features.shape[2]))
    for i, j, window in windows(padded, 3, strides, rows, columns):
        output[i, j] = window.max(axis=(0, 1))
    return output


def padded_average_pool(features):
    """A ninth of the sum of every 3×3 window over a border of zeros."""
    rows, columns = features.shape[:2]
    output = np.zeros_like(features, dtype=np.float64)
    for i, j, window in windows(pad(features, 1), 3, 1, rows, columns):
        output[i, j] = window.sum(axis=(0, 1)) / 9.0
    return output
