"""Weights that leave no layer the identity and no feature map without a spread."""

import numpy as np

from gsp_tf.backbones.keras_tensors import keras_tensors


def random_tensors(model, rng):
    """Set every variable of a model, moving statistics included; return them as a dict of float64 arrays by name."""
    drawn = {}
    for name, variable in keras_tensors(model).items():
        shape, kind = tuple(variable.shape), name.rpartition("/")[2]
        if kind == "kernel":
            value = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]) / 2.0)
        elif kind in ("gamma", "moving_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = 0.2 * rng.normal(size=shape)
        variable.assign(value)
        drawn[name] = variable.numpy().astype(np.float64)
    return drawn
