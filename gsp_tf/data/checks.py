"""Checks of arguments that several data sets share."""

from numbers import Integral, Real

import numpy as np


def check_whole_number(name: str, value, minimum: int) -> int:
    """`value` as an int, or a ValueError that names the argument."""
    if not isinstance(value, Integral) or isinstance(value, (bool, np.bool_)) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}.")
    return int(value)


def check_noise(noise) -> float:
    """`noise` as a float in [0, infinity), or a ValueError."""
    if not isinstance(noise, Real) or isinstance(noise, (bool, np.bool_)) or not 0 <= noise < np.inf:
        raise ValueError(
            f"noise must be a standard deviation of at least 0, in units of pixels, got {noise!r}."
        )
    return float(noise)


def check_labels(labels, num_classes: int) -> np.ndarray:
    """`labels` as an int64 array (B,) with values in [0, num_classes), or a ValueError."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers of shape (B,), got dtype {labels.dtype} and shape {labels.shape}."
        )
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if len(outside):
        raise ValueError(f"labels must be from 0 to {num_classes - 1}, got {outside[0]}.")
    return labels.astype(np.int64)
