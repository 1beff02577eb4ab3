"""Normalisations whose values and gradients are finite everywhere."""

import numpy as np
import tensorflow as tf


def clip_to_unit_ball(x):
    """Scale the vectors of the last axis that are longer than 1 back to length 1: x / max(1, ‖x‖₂).

    Shorter vectors pass unchanged, the zero vector with gradient 1. Source: the GSP paper, below (P2).

    >>> clip_to_unit_ball(tf.constant([[3.0, 4.0], [0.3, 0.4]])).numpy().round(2).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.30000001192092896, 0.4000000059604645]]
    """
    squared = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)
    # A vector that was clipped before has length 1 but for rounding, and must not take either side of the kink's two
    # gradients by chance: it counts as longer. The root of a number near 1 or above has no pole to guard.
    shorter = squared < 1 - 64 * np.finfo(x.dtype.as_numpy_dtype).eps
    return x * tf.math.rsqrt(tf.where(shorter, tf.ones_like(squared), squared))


def l2_normalize(x):
    """Scale the vectors of the last axis to unit length: x / ‖x‖₂; a zero vector stays zero, with zero gradient.

    The largest component is divided out first, so that neither huge nor tiny vectors leave the dtype's range.
    """
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(x), axis=-1, keepdims=True))
    scaled = tf.math.divide_no_nan(x, largest)
    squared = tf.reduce_sum(tf.square(scaled), axis=-1, keepdims=True)
    return scaled * tf.math.rsqrt(tf.where(squared > 0, squared, tf.ones_like(squared)))
