"""The scalar equation that the transport problem reduces to. Nothing here knows of gradients.

With s_j = logsumexp_i(−ε c_ij), problem (P2) has the solution σ_j = sigmoid(x + s_j), where x is the root of

    F(x) = mean_j sigmoid(x + s_j) − μ,

an increasing function, so the root is bracketed by logit(μ) − max s and logit(μ) − min s.
"""

import numpy as np
import tensorflow as tf

NEWTON_STEPS = 12
# A float32 has 32 bits, and 32 halvings find it exactly; of a float64, 48 find all but the last 16.
THRESHOLD_STEPS = {tf.float32: 32, tf.float64: 48}


def solve_shares(scores, mu, valid):
    """Find the shares σ_j = sigmoid(x + s_j) of the features' mass that are transported.

    Twelve unrolled, safeguarded Newton steps from the hard threshold that solves the problem without entropy.
    A plain Newton step follows the tangent, and on the exponential tails of F, which are what it meets where
    scores form far-apart groups, gains one unit of x a step: too slow. The step here follows the exponential with
    F's value, slope and curvature instead, F + F′(e^{κδ} − 1)/κ with κ = F″/F′, whose root is
    δ = log(1 − κF/F′)/κ. It is exact on either tail and cubic near the root; where it leaves the bracket the
    tangent's step is taken, and where that leaves it, the middle.

    Args:
        scores: (B, n) float32 or float64.
        mu: (B, 1) of the same dtype, in (0, 1].
        valid: (B, n) of the same dtype, 1 for a feature that takes part and 0 for padding.

    Returns:
        ``(share, rest)``, each (B, n): σ and 1 − σ, both accurate where they are small and both 0 at padding.
        μ = 1 gives σ = 1 exactly.
    """
    count = tf.maximum(tf.reduce_sum(valid, axis=1, keepdims=True), 1)
    everything = mu >= 1
    rounding = tf.constant(np.finfo(scores.dtype.as_numpy_dtype).eps, scores.dtype)
    # μ = 1 puts the root at infinity; such a row solves a harmless problem and is overwritten at the end.
    mu = tf.where(everything, tf.constant(0.5, mu.dtype), mu)
    # Near a large root x has no digits left for the fraction: measure the scores from the threshold, start at 0.
    scores = tf.where(valid > 0, scores - _hard_threshold(scores, mu, valid, count), tf.zeros_like(scores))
    logit = tf.math.log(mu) - tf.math.log1p(-mu)
    low = logit - tf.reduce_max(scores, axis=1, keepdims=True)
    high = logit - tf.reduce_min(scores, axis=1, keepdims=True)
    x = tf.clip_by_value(tf.zeros_like(mu), low, high)
    for _ in range(NEWTON_STEPS):
        share, rest = tf.sigmoid(x + scores) * valid, tf.sigmoid(-x - scores)
        error = _excess(share, mu, count)
        slopes = share * rest
        slope = tf.reduce_sum(slopes, axis=1, keepdims=True) / count
        curvature = tf.reduce_sum(slopes * (rest - share), axis=1, keepdims=True) / count
        # `<=` and `>=`, so that a row which has converged closes its bracket on itself and stays there.
        low = tf.where(error <= 0, x, low)
        high = tf.where(error >= 0, x, high)
        tangent = -error / slope
        bend = curvature / slope
        change = bend * tangent
        # Below rounding both steps agree; far below, the product is flushed to 0 and the row would stay where it is.
        exponential = tf.where(tf.abs(change) < rounding, tangent, tf.math.log1p(change) / bend)
        middle = low + (high - low) / 2
        # A comparison with NaN is false: a vanished slope falls through to the middle.
        step = tf.where((x + tangent >= low) & (x + tangent <= high), x + tangent, middle)
        x = tf.where((x + exponential >= low) & (x + exponential <= high), x + exponential, step)
    share, rest = tf.sigmoid(x + scores), tf.sigmoid(-x - scores)
    share = tf.where(everything, tf.ones_like(share), share)
    rest = tf.where(everything, tf.zeros_like(rest), rest)
    return share * valid, rest * valid


def _excess(share, mu, count):
    """F = Σσ/n − μ. A plain sum of thousands of float32 numbers loses the digits that decide the last steps.

    Multiples of 2⁻¹² in [0, 1] add up without rounding as long as there are 4,096 of them, in whatever order the
    compiler takes them; what remains of each is too small for its rounding to matter.
    """
    coarse = tf.round(share * 4096) / 4096
    exact = tf.reduce_sum(coarse, axis=1, keepdims=True)
    return (exact - mu * count + tf.reduce_sum(share - coarse, axis=1, keepdims=True)) / count


def _hard_threshold(scores, mu, valid, count):
    """The score that splits the highest share μ from the rest: the solution of (P1), which has no entropy.

    Found by bisection on the number of scores above: compiled, a sort costs many times as much. Halving the range of
    the floats' bits rather than of their values finds it at any scale, also where one far-off score makes the range
    a million times as wide as all the others need. Where the split falls between two features, it is the middle of
    both: at either of them the other's tail is flat.
    """
    cut = mu * count
    kept = tf.where(valid > 0, scores, scores.dtype.min)
    top = tf.reduce_max(kept, axis=1, keepdims=True)
    bottom = tf.reduce_min(tf.where(valid > 0, scores, scores.dtype.max), axis=1, keepdims=True)
    low, high = _order_of(bottom), _order_of(top)
    for _ in range(THRESHOLD_STEPS[scores.dtype]):
        # The sum of both may leave the integers' range.
        middle = low // 2 + high // 2 + (low % 2 + high % 2) // 2
        few = _number_above(kept, _float_of(middle)) <= cut
        low, high = tf.where(few, low, middle), tf.where(few, middle, high)
    threshold = _float_of(high)
    selected = kept > threshold
    above = tf.reduce_min(tf.where(selected, kept, top), axis=1, keepdims=True)
    below = tf.reduce_max(tf.where(selected, bottom, kept), axis=1, keepdims=True)
    return tf.where(tf.equal(_number_above(kept, threshold), cut), above / 2 + below / 2, below)


def _number_above(scores, threshold):
    return tf.reduce_sum(tf.cast(scores > threshold, scores.dtype), axis=1, keepdims=True)


def _order_of(values):
    """Integers in the order of the floats: their bits, those of negative floats counted downwards."""
    return _turn(tf.bitcast(values, tf.int32 if values.dtype == tf.float32 else tf.int64))


def _float_of(order):
    """The inverse of :func:`_order_of`."""
    return tf.bitcast(_turn(order), tf.float32 if order.dtype == tf.int32 else tf.float64)


def _turn(bits):
    # A negative float is its sign bit and its magnitude: the lowest integer plus the magnitude.
    return tf.where(bits < 0, bits.dtype.min - bits, bits)
