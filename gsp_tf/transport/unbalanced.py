"""Unbalanced optimal transport between places and channels: the problem, and Sinkhorn scaling in the log domain.

For scores X (B, n, d) the problem is, over plans P ≥ 0 with Σ_nd P_nd = 1,

    P* = argmax_P ⟨X, P⟩ + (α₀/2) ⟨C(P), P⟩ − α₁ R(P) − α₂ KL(P1 | p₀) − α₃ KL(Pᵀ1 | q₀)                          (U)

with R(P) = Σ P log P (entropic) or ½ Σ P² (quadratic), priors p₀ over places and q₀ over channels, and a linear,
self-adjoint C, the structure, or none. Source: Cheng and Xu, "Revisiting Global Pooling through the Lens of Optimal
Transport", arXiv 2201.09191; the structure is of Xu and Cheng, arXiv 2212.06339. With R entropic and no structure,
the constraint on the mass only scales the plan: without it, P* is the same but for a factor, because scores X + c
have the plan e^{c/(α₁+α₂+α₃)} P*. With it, all plans stay within a dtype's range whatever the scores.
"""

from typing import NamedTuple

import tensorflow as tf

# The logarithm of no mass. −∞ would turn differences of two of them, and their gradients, into NaN.
NOTHING = -1e30


class StepWeights(NamedTuple):
    """What one unrolled step weighs its problem with, floats or scalar tensors: α₁ > 0, the others ≥ 0.

    ``rho`` > 0 is the penalty of :func:`gsp_tf.transport.bregman_admm.bregman_admm`, ``alpha0`` is for a structure.
    """

    alpha1: tf.Tensor
    alpha2: tf.Tensor
    alpha3: tf.Tensor
    rho: tf.Tensor = 1.0
    alpha0: tf.Tensor = 0.0


def sinkhorn(scores, steps, valid=None, log_p0=None, log_q0=None, structure=None):
    """Unrolled Sinkhorn scaling in the log domain for (U) with the entropic regulariser.

    The plan is P_nd ∝ exp((X_nd + f_n + g_d)/α₁) with potentials f, g, 0 at the start. A step maximises the dual of
    (U) over one of them after the other, which is to set, with L the logarithm of the sums without the potential,

        g_d ← α₁ α₃/(α₁+α₃) (log q₀_d − L_d),  L_d = logsumexp_n (X_nd + f_n)/α₁,
        f_n ← α₁ α₂/(α₁+α₂) (log p₀_n − L_n),  L_n = logsumexp_d (X_nd + g_d)/α₁.

    The potentials are in the units of the scores, so that a step may go on from one with another α₁. With a
    structure, a step uses X + α₀ C(P) for X, P being the plan before it: a fixed point is stationary for (U).

    Args:
        scores: X (B, n, d), float32 or float64, with finite numbers at padding too.
        steps: a :class:`StepWeights` for each step.
        valid: (B, n) booleans, or None where every place is valid.
        log_p0: (B, n) or (n,) finite logarithms of the places' prior, scaled to a mass of 1 over the valid ones;
            uniform by default.
        log_q0: (B, d) or (d,) finite logarithms of the channels' prior, likewise; uniform by default.
        structure: C, a function from (B, n, d) plans to (B, n, d).

    Returns:
        log P (B, n, d), ``NOTHING`` at padding, of which the exponential is exactly 0. P sums to 1 in every sample
        with a valid place.

    >>> step = StepWeights(alpha1=1.0, alpha2=1.0, alpha3=1.0)
    >>> plan = tf.exp(sinkhorn(tf.constant([[[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]]]), [step] * 4))
    >>> print(round(float(tf.reduce_sum(plan)), 5))
    1.0
    """
    places = valid_places(scores, valid)
    log_p0, log_q0 = log_priors(scores, places, log_p0, log_q0)
    scores = centred(scores, places)
    potential_p, log_plan = tf.zeros_like(scores[:, :, :1]), unit_mass(log_p0 + log_q0, places)
    for step in steps:
        current = structured(scores, step, log_plan, places, structure)
        log_columns = tf.where(places, (current + potential_p) / step.alpha1, NOTHING)
        potential_q = step.alpha1 * pull(log_columns, 1, log_q0, step.alpha3, step.alpha1)
        log_rows = (current + potential_q) / step.alpha1
        potential_p = step.alpha1 * pull(log_rows, 2, log_p0, step.alpha2, step.alpha1)
        log_plan = unit_mass(log_rows + potential_p / step.alpha1, places)
    return without_padding(log_plan, valid)


def pull(log_plan, axis, log_prior, alpha, weight):
    """The change of log P that trades a marginal's distance from its prior for the plan's from where it is.

    The solution of min_Q weight · KL(Q | P) + alpha · KL(marginal of Q | prior), Q = P · e^change, with the sums
    over ``axis`` for the marginal: alpha/(alpha + weight) of the way in logarithms.
    """
    log_marginal = tf.reduce_logsumexp(log_plan, axis=axis, keepdims=True)
    return alpha / (alpha + weight) * (log_prior - log_marginal)


def valid_places(scores, valid):
    """(B, n, 1) booleans; all true for a sample without any valid place, whose numbers then stay finite."""
    if valid is None:
        return tf.ones_like(scores[:, :, :1], tf.bool)
    return (valid | ~tf.reduce_any(valid, axis=1, keepdims=True))[:, :, tf.newaxis]


def log_priors(scores, places, log_p0, log_q0):
    """log p₀ (B, n, 1), 0 at padding, and log q₀ (B, 1, d), each scaled to a mass of 1; uniform by default."""
    log_p0 = tf.zeros_like(scores[:, :, 0]) + (0 if log_p0 is None else tf.cast(log_p0, scores.dtype))
    log_q0 = tf.zeros_like(scores[:, 0]) + (0 if log_q0 is None else tf.cast(log_q0, scores.dtype))
    log_p0 = tf.where(places, tf.nn.log_softmax(tf.where(places, log_p0[:, :, tf.newaxis], NOTHING), axis=1), 0)
    return log_p0, tf.nn.log_softmax(log_q0)[:, tf.newaxis]


def centred(scores, places):
    """Scores less the largest of their sample: the same plan, and no digit is spent on what they have in common."""
    largest = tf.reduce_max(tf.where(places, scores, NOTHING), axis=(1, 2), keepdims=True)
    return scores - tf.stop_gradient(largest)


def structured(scores, step, log_plan, places, structure):
    """X + α₀ C(P): the scores with the structural term linearised at the plan."""
    if structure is None:
        return scores
    plan = tf.where(places, tf.exp(log_plan), tf.zeros_like(log_plan))
    return scores + step.alpha0 * structure(plan)


def unit_mass(log_plan, places):
    """log of the plan scaled to Σ P = 1, with nothing at padding."""
    log_plan = tf.where(places, log_plan, NOTHING)
    log_plan = log_plan - tf.reduce_logsumexp(log_plan, axis=(1, 2), keepdims=True)
    return tf.where(places, log_plan, NOTHING)


def without_padding(log_plan, valid):
    """log P with ``NOTHING`` at every invalid place, also in samples without a valid one."""
    return log_plan if valid is None else tf.where(valid[:, :, tf.newaxis], log_plan, NOTHING)
