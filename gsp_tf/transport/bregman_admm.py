"""Bregman ADMM for unbalanced optimal transport between places and channels."""

import tensorflow as tf

from gsp_tf.ops.checks import check_choice
from gsp_tf.transport.unbalanced import (
    NOTHING,
    centred,
    log_priors,
    pull,
    structured,
    unit_mass,
    valid_places,
    without_padding,
)


def bregman_admm(scores, steps, regularizer="entropic", valid=None, log_p0=None, log_q0=None, structure=None):
    """Unrolled Bregman ADMM in the log domain for (U) of :mod:`gsp_tf.transport.unbalanced`.

    The plan is split in two, P with the scores and the channels, S with the regulariser and the places, tied by P = S
    with the multiplier Z and the penalty ρ KL. From P = S = p₀ q₀ᵀ and Z = 0, a step is

        P ← argmax_P ⟨X − Z, P⟩ − α₃ KL(Pᵀ1 | q₀) − ρ KL(P | S)                  over P ≥ 0, Σ P = 1,
        S ← argmax_S ⟨Z, S⟩ − α₁ R(S) − α₂ KL(S1 | p₀) − ρ KL(S | P)             over S ≥ 0, Σ S = 1,
        Z ← Z + ρ (P − S).

    Both have closed forms, w = ρ + α₁, each scaled to Σ = 1:

        log P = Y + α₃/(α₃+ρ) (log q₀_d − logsumexp_n Y),   Y = log S + (X − Z)/ρ
        log S = V + α₂/(α₂+w) (log p₀_n − logsumexp_d V),   V = (Z + ρ log P)/w.

    The quadratic regulariser has none. There S's step has the further proximal term α₁ (KL(S | S′) − ½‖S − S′‖²), S′
    the plan before it, which is convex by Pinsker's inequality, moves no fixed point, and gives
    V = (Z + ρ log P + α₁ (log S′ − S′))/w.

    A step's exponents are of size X/ρ however small α₁ is, where Sinkhorn's are of size X/α₁, and Z changes by ρ at
    most. Source: Wang and Banerjee, "Bregman Alternating Direction Method of Multipliers", NIPS 2014; used so by
    arXiv 2201.09191, which makes the marginals variables with multipliers of their own. Here each is solved for
    together with its plan, which leaves two blocks and one multiplier.

    Args:
        scores: X (B, n, d), float32 or float64, with finite numbers at padding too.
        steps: a :class:`gsp_tf.transport.unbalanced.StepWeights` for each step.
        regularizer: "entropic" for R(P) = Σ P log P, "quadratic" for ½ Σ P².
        valid, log_p0, log_q0, structure: as of :func:`gsp_tf.transport.unbalanced.sinkhorn`.

    Returns:
        log S (B, n, d) after the last step, as :func:`gsp_tf.transport.unbalanced.sinkhorn` does. P and S agree
        once converged; S is returned because every weight of the last step has had its effect on it.

    Raises:
        ValueError: for another regularizer.

    >>> from gsp_tf.transport.unbalanced import StepWeights
    >>> step = StepWeights(alpha1=1.0, alpha2=1.0, alpha3=1.0, rho=1.0)
    >>> plan = tf.exp(bregman_admm(tf.constant([[[0.0, 1.0], [2.0, 0.0]]]), [step] * 4, "quadratic"))
    >>> print(round(float(tf.reduce_sum(plan)), 5))
    1.0
    """
    check_choice("regularizer", regularizer, ("entropic", "quadratic"))
    places = valid_places(scores, valid)
    log_p0, log_q0 = log_priors(scores, places, log_p0, log_q0)
    scores = centred(scores, places)
    log_s = unit_mass(log_p0 + log_q0, places)
    multiplier = tf.zeros_like(scores)
    for step in steps:
        target = structured(scores, step, log_s, places, structure) - multiplier
        log_p = tf.where(places, log_s + target / step.rho, NOTHING)
        log_p = unit_mass(log_p + pull(log_p, 1, log_q0, step.alpha3, step.rho), places)
        weight = step.rho + step.alpha1
        # Divided first: the logarithm of no mass times a large weight would overflow.
        change = multiplier / weight + step.rho / weight * log_p
        if regularizer == "quadratic":
            change += step.alpha1 / weight * (log_s - tf.exp(log_s))
        log_s = tf.where(places, change, NOTHING)
        log_s = unit_mass(log_s + pull(log_s, 2, log_p0, step.alpha2, weight), places)
        multiplier += step.rho * (tf.exp(log_p) - tf.exp(log_s))
    return without_padding(log_s, valid)
