"""The scalar equation that the transport problem reduces to. Nothing here knows of gradients.

With s_j = logsumexp_i(−ε c_ij), problem (P2) has the solution σ_j = sigmoid(x + s_j), where x is the root of

    F(x) = mean_j sigmoid(x + s_j) − μ,

an increasing function, so the root is bracketed by logit(μ) − max s and logit(μ) − min s.
"""

import numpy as np
import tensorflow as tf

NEWTON_STEPS = 12
THRESHOLD_STEPS = 40


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

    Found by bisection on the number of scores above: compiled, a sort costs many times as much. A score is returned,
    at most 2⁻⁴⁰ of the scores' range from the exact one: a sigmoid is 1 wide, so that Newton's steps get there from
    any score that is 1 off, and one feature at a cost of 1e6 under ε = 1,000 makes the range 1e9. Where the split
    falls between two features, it is the middle of both: at either of them the other's tail is flat.
    """
    cut = mu * count
    kept = tf.where(valid > 0, scores, scores.dtype.min)
    top = tf.reduce_max(kept, axis=1, keepdims=True)
    bottom = tf.reduce_min(tf.where(valid > 0, scores, scores.dtype.max), axis=1, keepdims=True)
    low, high = bottom, top
    for _ in range(THRESHOLD_STEPS):
        middle = low / 2 + high / 2
        few = _number_above(kept, middle) <= cut
        low, high = tf.where(few, low, middle), tf.where(few, middle, high)
    selected = kept > high
    above = tf.reduce_min(tf.where(selected, kept, top), axis=1, keepdims=True)
    below = tf.reduce_max(tf.where(selected, bottom, kept), axis=1, keepdims=True)
    return tf.where(tf.equal(_number_above(kept, high), cut), above / 2 + below / 2, below)


def _number_above(scores, threshold):
    return tf.reduce_sum(tf.cast(scores > threshold, scores.dtype), axis=1, keepdims=True)
