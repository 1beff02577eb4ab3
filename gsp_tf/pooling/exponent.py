"""The trainable exponent of a generalised mean, which training cannot make negative."""

import math

import tensorflow as tf

from gsp_tf.ops.checks import solver_dtype
from gsp_tf.ops.variables import full_precision_weight

# Below this the 1/p of a generalised mean would magnify rounding to more than float32 can do without.
LOWEST_EXPONENT = 0.01


def exponent_weight(layer, start, shape=()):
    """Add the weight ``raw_p`` to a layer, for a ``positive_exponent`` that starts at ``start`` > 0.01."""
    above = start - LOWEST_EXPONENT
    raw = above + math.log(-math.expm1(-above))
    return full_precision_weight(
        layer, name="raw_p", shape=shape, dtype=solver_dtype(layer.variable_dtype).name,
        # Keras 3's Constant passes through float32 on the way to float64.
        initializer=lambda shape, dtype=None: tf.constant(raw, dtype, shape),
    )


def positive_exponent(raw, dtype):
    """The exponent p = 0.01 + log(1 + exp(raw)): positive for every weight, with slope near 1 where p is 3 or more."""
    return LOWEST_EXPONENT + tf.nn.softplus(tf.cast(raw, dtype))
