"""Checks of arguments, with messages that name the argument, what is allowed and what came."""

import math
import numbers

import numpy as np
import tensorflow as tf

HALF_PRECISION = (tf.float16, tf.bfloat16)


def check_number(name, value, low=None, high=None, low_open=False):
    """Return ``value`` as a Python float, or raise ``ValueError`` unless it is a number in the interval."""
    allowed = f"{'(' if low_open else '['}{low}, {'inf)' if high is None else f'{high}]'}"
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.number)):
        raise ValueError(f"{name} must be a number in {allowed}; got {value!r}")
    number = float(value)
    too_low = low is not None and (number <= low if low_open else number < low)
    if not math.isfinite(number) or too_low or (high is not None and number > high):
        raise ValueError(f"{name} must be a number in {allowed}; got {value!r}")
    return number


def check_count(name, value, low=1):
    """Return ``value`` as an int, or raise ``ValueError`` unless it is a whole number of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}; got {value!r}")
    return int(value)


def check_choice(name, value, choices):
    """Return ``value``, or raise ``ValueError`` unless it is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return value


def check_floating(name, tensor):
    """Raise ``TypeError`` unless the tensor holds floating-point numbers."""
    if not tf.as_dtype(tensor.dtype).is_floating:
        raise TypeError(
            f"{name} must hold floating-point numbers; got dtype {tf.as_dtype(tensor.dtype).name}: "
            f"convert it, for example with tf.cast({name}, tf.float32)"
        )


def check_rank(name, tensor, ranks, layout):
    """Raise ``ValueError`` unless the tensor's static rank is one of ``ranks`` (an unknown rank passes)."""
    rank = tensor.shape.rank if hasattr(tensor.shape, "rank") else len(tensor.shape)
    if rank is not None and rank not in ranks:
        raise ValueError(f"{name} must have shape {layout}; got shape {tuple(tensor.shape)} of rank {rank}")


def solver_dtype(dtype):
    """The dtype to compute in: float32 for the half precisions, the dtype itself otherwise."""
    dtype = tf.as_dtype(dtype)
    return tf.float32 if dtype in HALF_PRECISION else dtype


def as_scalar_or_batch(name, value, dtype, low, high):
    """Turn a float, array or tensor in (low, high] into a tensor of ``dtype`` and shape () or (B,).

    Python numbers and arrays go to ``dtype`` directly: ``tf.cast(0.3, tf.float64)`` would pass through float32.
    What is known now is checked now; a symbolic tensor is checked when the graph runs.
    """
    if not tf.is_tensor(value) and not isinstance(value, tf.Variable):
        value = tf.convert_to_tensor(np.asarray(value, dtype=dtype.as_numpy_dtype))
    value = tf.cast(value, dtype)
    check_rank(name, value, (0, 1), "() or (B,)")
    static = value.numpy() if tf.executing_eagerly() else tf.get_static_value(value)
    top = f"{high}]" if high is not None else "inf)"
    message = f"{name} must be in ({low}, {top}"
    if static is not None:
        inside = np.isfinite(static) & (static > low) & (True if high is None else static <= high)
        if not np.all(inside):
            raise ValueError(f"{message}; got {np.asarray(static)[~inside].ravel()[0] if static.ndim else static}")
        return value
    inside = tf.math.is_finite(value) & (value > low)
    if high is not None:
        inside &= value <= high
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(inside), [message, value])]):
        return tf.identity(value)
