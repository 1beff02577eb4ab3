"""Central differences, the judge of every gradient."""

import numpy as np


def numeric_gradient(function, x, step=1e-5):
    """Gradient of a scalar function at a float64 array, by central differences.

    ``function`` takes a stack (K, *x.shape) of arguments and returns their (K,) values, so that a batched function
    is called once. The error is about step² times the third derivative plus 1e-16/step.
    """
    x = np.asarray(x, dtype=np.float64)
    offsets = step * np.eye(x.size).reshape(x.size, *x.shape)
    values = np.asarray(function(np.concatenate([x + offsets, x - offsets])), dtype=np.float64)
    assert values.shape == (2 * x.size,)
    return ((values[: x.size] - values[x.size :]) / (2 * step)).reshape(x.shape)


def one_by_one(function):
    """Make a function of one argument take a stack of them."""
    return lambda stack: np.array([float(function(x)) for x in stack])


def relative_error(actual, expected):
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    return np.max(np.abs(actual - expected)) / np.max(np.abs(expected))
