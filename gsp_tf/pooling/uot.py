"""Pooling by unbalanced optimal transport between places and channels."""

import math

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_choice, check_count, check_number, solver_dtype
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.pooling_layer import PoolingLayer
from gsp_tf.transport.bregman_admm import bregman_admm
from gsp_tf.transport.unbalanced import StepWeights, sinkhorn

SOLVERS = ("sinkhorn", "badmm_entropic", "badmm_quadratic")
# What the exponents are divided by stays above this, wherever training takes it.
SMALLEST = 1e-6


@keras.utils.register_keras_serializable("gsp_tf")
class UOTPooling(PoolingLayer):
    """Unbalanced optimal transport pooling: mean, max and attention pooling are its limits, training finds the rest.

    A plan P (B, n, d) distributes mass 1 over places n and channels d, more where the feature X_nd is larger:

        P* = argmax_P ⟨X, P⟩ − α₁ R(P) − α₂ KL(P1 | p₀) − α₃ KL(Pᵀ1 | q₀),   P ≥ 0, Σ P = 1,
        pooled_d = Σ_n P_nd X_nd / Σ_n P_nd,

    with uniform priors p₀ over places and q₀ over channels, and R(P) = Σ P log P (entropic) or ½ Σ P² (quadratic).
    It is solved by ``num_steps`` unrolled steps in the log domain, so P is P*'s approximation that many steps from
    p₀ q₀ᵀ. Its limits, tested for every solver:

        mean       α₁ → ∞
        max        α₁ → 0 with α₂ ≪ α₁ and α₃ → ∞; Bregman ADMM: ρ → 0 as well
        attention  α₂ → 0 and α₃ → ∞, entropic: each channel by softmax_n(X_nd/α₁); Bregman ADMM: ρ → 0 as well

    The α and ρ are softplus of trainable float32 weights. Source: Cheng and Xu, "Revisiting Global Pooling through
    the Lens of Optimal Transport", arXiv 2201.09191; the steps are derived in :mod:`gsp_tf.transport.unbalanced` and
    :mod:`gsp_tf.transport.bregman_admm`.

    Args:
        solver: "sinkhorn" (entropic), "badmm_entropic" or "badmm_quadratic" (Bregman ADMM).
        num_steps: number K ≥ 1 of unrolled steps; 4 in the paper.
        shared: whether all steps have the same α and ρ, or each its own (K,).
        alpha1: initial α₁ > 1e-6 of the regulariser, smooth where large.
        alpha2: initial α₂ > 0 of the places' marginal.
        alpha3: initial α₃ > 0 of the channels' marginal.
        rho: initial penalty ρ > 1e-6 of Bregman ADMM, whose steps are smaller where it is large. Not used by Sinkhorn.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``; ``trainable=False`` leaves the α and ρ as they are.

    Call arguments:
        inputs, mask: as of :class:`PoolingLayer`. Padding has no part in n, p₀ or P.

    Returns:
        (B, d) in the layer's compute dtype; 0 for a sample without any valid place.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> features = tf.constant([[[1.0, 2.0], [3.0, 6.0]]])
    >>> UOTPooling(alpha1=1e6)(features).numpy().round(3).tolist()
    [[2.0, 4.0]]
    >>> UOTPooling(alpha1=1e-3, alpha2=1e-9, alpha3=1e6)(features).numpy().round(3).tolist()
    [[3.0, 6.0]]
    """

    def __init__(self, solver="sinkhorn", num_steps=4, shared=True, alpha1=1.0, alpha2=1.0, alpha3=1.0, rho=1.0,
                 data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.solver = check_choice("solver", solver, SOLVERS)
        self.num_steps = check_count("num_steps", num_steps)
        self.shared = check_choice("shared", shared, (True, False))
        self.starts = {
            "alpha1": check_number("alpha1", alpha1, low=SMALLEST, low_open=True),
            "alpha2": check_number("alpha2", alpha2, low=0, low_open=True),
            "alpha3": check_number("alpha3", alpha3, low=0, low_open=True),
            "rho": check_number("rho", rho, low=SMALLEST, low_open=True),
        }

    def build(self, input_shape):
        used = [name for name in self.starts if name != "rho" or self.solver != "sinkhorn"]
        self.raw = {name: self._raw_weight(name) for name in used}
        super().build(input_shape)

    def _raw_weight(self, name):
        """The trainable number, or K numbers, of which ``name`` is the softplus."""
        raw = softplus_inverse(self.starts[name] - lowest(name))
        dtype = solver_dtype(self.variable_dtype).name
        return full_precision_weight(
            self, name=f"raw_{name}", shape=() if self.shared else (self.num_steps,), dtype=dtype,
            # Keras 3's Constant passes through float32 on the way to float64.
            initializer=lambda shape, dtype=None: tf.constant(raw, dtype, shape),
        )

    def step_weights(self):
        """The :class:`gsp_tf.transport.unbalanced.StepWeights` of every step, from the trainable weights."""
        values = {name: tf.nn.softplus(tf.convert_to_tensor(raw)) + lowest(name) for name, raw in self.raw.items()}
        if self.shared:
            return [StepWeights(**values)] * self.num_steps
        return [StepWeights(**{name: value[k] for name, value in values.items()}) for k in range(self.num_steps)]

    def structure(self, features, valid):
        """The structure C of the problem as a function of plans, or None."""
        return None

    def log_plan(self, features, valid):
        """log P (B, n, d), as the unrolled steps give it."""
        steps = [StepWeights(*(tf.cast(weight, features.dtype) for weight in step)) for step in self.step_weights()]
        structure = self.structure(features, valid)
        if self.solver == "sinkhorn":
            return sinkhorn(features, steps, valid, structure=structure)
        return bregman_admm(features, steps, self.solver.removeprefix("badmm_"), valid, structure=structure)

    def pool(self, features, valid):
        # A channel's share may be too small for the exponential: the division is done in logarithms. Where nothing
        # is valid all places have the same weight, of features that are zeros.
        return tf.reduce_sum(tf.nn.softmax(self.log_plan(features, valid), axis=1) * features, axis=1)

    def get_config(self):
        return {
            **super().get_config(),
            "solver": self.solver,
            "num_steps": self.num_steps,
            "shared": self.shared,
            **self.starts,
        }


def lowest(name):
    """The least value that a weight of the problem can take: divisors stay off 0."""
    return SMALLEST if name in ("alpha1", "rho") else 0.0


def softplus_inverse(value):
    """The x with log(1 + eˣ) = value > 0, accurate for small and large values."""
    return value + math.log(-math.expm1(-value))
