"""The generalised mean, from average to maximum."""

import tensorflow as tf

from gsp_tf.pooling.local_features import masked_max, masked_mean

# Smallest feature that a power is taken of.
FLOOR = 1e-6


def generalized_mean(features, p, valid):
    """Generalised mean g = ((1/n) Σ_j x_j^p)^(1/p) of the valid features of (B, n, d), with x = max(f, 1e-6).

    The maximum M is divided out first, g = M ((1/n) Σ_j (x_j/M)^p)^(1/p), where no power leaves [0, 1]: neither huge
    features nor a large p overflow.

    Args:
        features: (B, n, d) floating point, finite also where not valid.
        p: exponent > 0, () or (d,). 1 is the average of x, and p → ∞ tends to its maximum.
        valid: (B, n) booleans, or None where all are.

    Returns:
        (B, d); 0 where a sample has no valid feature.

    >>> generalized_mean(tf.constant([[[3.0], [4.0]]]), 2.0, None).numpy().round(4).tolist()
    [[3.5355000495910645]]
    """
    x = tf.maximum(features, tf.constant(FLOOR, features.dtype))
    # g does not depend on the scale that is divided out, so neither does its gradient.
    largest = tf.stop_gradient(masked_max(x, valid))
    scale = tf.maximum(largest, tf.constant(FLOOR, features.dtype))[:, tf.newaxis]
    mean = masked_mean(tf.exp(p * (tf.math.log(x) - tf.math.log(scale))), valid)
    # At least 1/n, unless no feature is valid.
    root = tf.exp(tf.math.log(tf.where(mean > 0, mean, tf.ones_like(mean))) / p)
    return largest * root
