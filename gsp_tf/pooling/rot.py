"""Pooling by regularised optimal transport: unbalanced optimal transport with a structural term."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_number
from gsp_tf.ops.normalization import l2_normalize
from gsp_tf.pooling.local_features import valid_count
from gsp_tf.pooling.uot import UOTPooling


@keras.utils.register_keras_serializable("gsp_tf")
class ROTPooling(UOTPooling):
    """Regularised optimal transport pooling: :class:`UOTPooling` that also matches how places and channels relate.

    The problem gains the term of a Gromov-Wasserstein problem with inner products,

        P* = argmax_P ⟨X, P⟩ + (α₀/2) ⟨C_N P C_D, P⟩ − α₁ R(P) − α₂ KL(P1 | p₀) − α₃ KL(Pᵀ1 | q₀),
        C_N = X Xᵀ/(d s²)  (n, n),   C_D = XᵀX/(n s²)  (d, d),   s² = Σ X²/(n d),

    which is large where similar places send their mass to similar channels. Every step linearises it at the plan P
    before it: the solver's step is taken with X + α₀ C_N P C_D for X, the gradient of the first two terms, starting
    from P = p₀ q₀ᵀ. It is computed as X (Xᵀ (P C_D)), so that no (n, n) tensor exists. A fixed point of the steps is
    a stationary point of the problem. Both C are positive semidefinite, so the term is convex, the problem is not
    concave, and the linearisation bounds it from below. Where X = 0 the term is 0.

    Source: Xu and Cheng, "Regularized Optimal Transport Layers for Generalized Global Pooling Operations",
    arXiv 2212.06339. There s = 1; dividing by the mean square makes α₀ independent of the features' size, so that
    large features stay within float32's range.

    Args:
        alpha0: initial α₀ > 0 of the structural term, learned as the other weights are.
        solver, num_steps, shared, alpha1, alpha2, alpha3, rho, data_format: as of :class:`UOTPooling`.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments, returns and raises as of :class:`UOTPooling`; n is the number of valid places.

    >>> pool = ROTPooling(alpha0=0.5, solver="badmm_entropic")
    >>> pool(tf.random.normal((2, 7, 7, 16))).shape
    TensorShape([2, 16])
    """

    def __init__(self, solver="sinkhorn", num_steps=4, shared=True, alpha0=1.0, **kwargs):
        super().__init__(solver=solver, num_steps=num_steps, shared=shared, **kwargs)
        self.starts["alpha0"] = check_number("alpha0", alpha0, low=0, low_open=True)

    def structure(self, features, valid):
        batch, count, dim = tf.unstack(tf.shape(features))
        # Of unit norm: X/(s √(n d)), whatever the size of the features.
        unit = tf.reshape(l2_normalize(tf.reshape(features, (batch, count * dim))), (batch, count, dim))
        unit = tf.ensure_shape(unit, features.shape)
        similarity = tf.matmul(unit, unit, transpose_a=True)
        # n d, a scalar or (B, 1, 1).
        scale = valid_count(features, valid)[..., tf.newaxis] * tf.cast(dim, features.dtype)

        def linearised(plan):
            return scale * tf.matmul(unit, tf.matmul(unit, tf.matmul(plan, similarity), transpose_a=True))

        return linearised
