"""The transport plan and its closed-form derivative. Nothing here knows how the solution is found."""

from typing import NamedTuple

import tensorflow as tf

from gsp_tf.ops.checks import as_scalar_or_batch, check_floating, check_rank, solver_dtype
from gsp_tf.transport.solver import solve_shares


class PartialTransport(NamedTuple):
    """Solution of the partial transport problem: ``residual`` ρ (B, n) and ``plan`` π (B, m, n)."""

    residual: tf.Tensor
    plan: tf.Tensor


def partial_transport(cost, mu, epsilon, mask=None):
    """Transport the share μ of n features' mass to m prototypes at the least smoothed cost.

    Solves, for every sample of the batch (problem P2 of the GSP paper),

        min over ρ, π ≥ 0 of  Σ_ij c_ij π_ij + (1/ε) (Σ_ij π_ij log π_ij + Σ_j ρ_j log ρ_j)
        subject to            ρ_j + Σ_i π_ij = 1/n  for every j,   Σ_ij π_ij = μ,

    to machine precision, in the log domain, by twelve unrolled steps on its one scalar unknown. The gradient is the
    closed form of Prop. 4.2 at that solution, with respect to ``cost`` and ``mu`` (``epsilon`` gets none):

        ∂L/∂c_ij = −ε π_ij (∂L/∂π_ij − n (q_j − (η/k) ρ_j)),   q_j = ρ_j ∂L/∂ρ_j + Σ_i π_ij ∂L/∂π_ij,
        η = Σ_j ρ_j ∂L/∂ρ_j − n Σ_j q_j ρ_j,                   k = 1 − μ − n Σ_j ρ_j²,   ∂L/∂μ = −η/k.

    Args:
        cost: (B, m, n) finite floating point. float16 and bfloat16 are solved in float32 and returned as they came.
        mu: the transport ratio μ in (0, 1]: a float, or a tensor of shape () or (B,). 1 transports everything:
            ρ = 0 and Σ_i π_ij = 1/n exactly.
        epsilon: the sharpness ε > 0, a float or scalar tensor. Large is sharp (a hard top-μ selection), small is
            smooth (uniform). The optimal transport literature calls the inverse of this ε.
        mask: (B, n), true for the features that take part; n is then their number in each sample, and ρ and π are
            0 at the others. A sample without any has all zeros and passes zero gradients.

    Returns:
        ``PartialTransport(residual, plan)``.

    Raises:
        TypeError: if ``cost`` is not floating point.
        ValueError: if a shape does not fit, or μ or ε is out of range. A symbolic μ or ε is checked when the graph
            runs, with ``tf.errors.InvalidArgumentError``; under ``jit_compile`` TensorFlow drops that check.

    >>> cost = tf.constant([[[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]])
    >>> residual, plan = partial_transport(cost, mu=0.5, epsilon=5.0)
    >>> print(round(float(tf.reduce_sum(plan)), 6))
    0.5
    """
    cost = tf.convert_to_tensor(cost)
    check_floating("cost", cost)
    check_rank("cost", cost, (3,), "(B, m, n)")
    if 0 in cost.shape[1:]:
        raise ValueError(f"cost must have at least one prototype and one feature; got shape {tuple(cost.shape)}")
    dtype = solver_dtype(cost.dtype)
    mu = as_scalar_or_batch("mu", mu, dtype, 0, 1)
    epsilon = as_scalar_or_batch("epsilon", epsilon, dtype, 0, None)
    check_rank("epsilon", epsilon, (0,), "()")
    batch, features = tf.shape(cost)[0], tf.shape(cost)[2]
    if mask is None:
        valid = tf.ones((batch, features), dtype)
    else:
        mask = tf.convert_to_tensor(mask)
        check_rank("mask", mask, (2,), "(B, n)")
        if not cost.shape[::2].is_compatible_with(mask.shape):
            raise ValueError(f"mask must have shape (B, n) = {tuple(cost.shape[::2])}; got {tuple(mask.shape)}")
        valid = tf.cast(tf.cast(mask, tf.bool), dtype)
    if mu.shape.rank == 1 and not cost.shape[:1].is_compatible_with(mu.shape):
        raise ValueError(f"mu must have shape () or (B,) = {tuple(cost.shape[:1])}; got {tuple(mu.shape)}")
    # Broadcasting outside the custom gradient leaves the sum over the batch to ordinary differentiation.
    mu = tf.broadcast_to(tf.reshape(mu, (-1, 1)), (batch, 1))
    residual, plan = _transport(tf.cast(cost, dtype), mu, epsilon, valid)
    return PartialTransport(tf.cast(residual, cost.dtype), tf.cast(plan, cost.dtype))


@tf.custom_gradient
def _transport(cost, mu, epsilon, valid):
    count = tf.maximum(tf.reduce_sum(valid, axis=1, keepdims=True), 1)
    exponent = -epsilon * cost
    largest = tf.reduce_max(exponent, axis=1, keepdims=True)
    kernel = tf.exp(exponent - largest)
    total = tf.reduce_sum(kernel, axis=1)
    share, rest = solve_shares(largest[:, 0] + tf.math.log(total), mu, valid)
    residual = rest / count
    plan = kernel * (share / (count * total))[:, tf.newaxis]

    def gradient(d_residual, d_plan):
        d_cost, d_mu = closed_form_gradient(residual, plan, share, count, epsilon, d_residual, d_plan)
        return d_cost, d_mu, None, None

    return (residual, plan), gradient


def closed_form_gradient(residual, plan, share, count, epsilon, d_residual, d_plan):
    """Prop. 4.2: gradients with respect to the cost (B, m, n) and to μ (B, 1), from those of ρ and π.

    ``share`` σ (B, n) is 1 − nρ, handed over because the subtraction would lose the digits of small shares;
    ``count`` n (B, 1) is the number of valid features. k is the variance of nρ and is taken in its positive form
    mean σ(1 − σ): as 1 − μ − nΣρ² it goes negative in float32. Where it vanishes (μ = 1, or shares of exactly 0 and
    1) the threshold does not move, so its part of the gradient is 0.
    """
    received = tf.reduce_sum(plan * d_plan, axis=1)
    q = residual * d_residual + received
    # η = Σ ρ ∂L/∂ρ − n Σ q ρ, with 1 − nρ = σ put in: every term is as small as its feature's slope.
    eta = tf.reduce_sum(residual * (share * d_residual - count * received), axis=1, keepdims=True)
    k = tf.reduce_sum(share * residual, axis=1, keepdims=True)
    shift = tf.math.divide_no_nan(eta, k)
    d_cost = -epsilon * plan * (d_plan - (count * (q - shift * residual))[:, tf.newaxis])
    return d_cost, -shift
