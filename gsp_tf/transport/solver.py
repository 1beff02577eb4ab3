"""The scalar equation that the transport problem reduces to. Nothing here knows of gradients.

With s_j = logsumexp_i(−ε c_ij), problem (P2) has the solution σ_j = sigmoid(x + s_j), where x is the root of

    F(x) = mean_j sigmoid(x + s_j) − μ,

an increasing function, so the root is bracketed by logit(μ) − max s and logit(μ) − min s.
"""

import tensorflow as tf

NEWTON_STEPS = 12


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
        exponential = tf.where(tf.equal(bend, 0), tangent, tf.math.log1p(bend * tangent) / bend)
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

    Where the split falls between two features, the middle of both: at either of them the other's tail is flat.
    """
    lowest = scores.dtype.min / 4
    descending = tf.sort(tf.where(valid > 0, scores, lowest), axis=1, direction="DESCENDING")
    last = tf.cast(count, tf.int32) - 1
    cut = mu * count
    above = tf.clip_by_value(tf.cast(tf.math.ceil(cut), tf.int32) - 1, 0, last)
    below = tf.clip_by_value(tf.cast(tf.floor(cut), tf.int32), 0, last)
    pair = tf.gather(descending, tf.concat([above, below], axis=1), axis=1, batch_dims=1)
    # Half of each: the sum of two masked fillers would leave the dtype's range.
    return tf.reduce_sum(pair / 2, axis=1, keepdims=True)
