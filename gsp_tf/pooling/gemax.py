"""Generalised max pooling."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_number
from gsp_tf.pooling.local_features import masked_mean
from gsp_tf.pooling.pooling_layer import PoolingLayer


@keras.utils.register_keras_serializable("gsp_tf")
class GeMaxPooling(PoolingLayer):
    """Generalised max pooling: the vector that is as similar to the rare local features as to the frequent ones.

    With the features of a sample as the rows of F (n, d), their mean squared norm s = (1/n) Σ_j ‖f_j‖₂² and the ridge
    λ = ridge · s,

        g = s Fᵀ (F Fᵀ + λ I)⁻¹ 1 = s (Fᵀ F + λ I)⁻¹ Fᵀ 1

    by a Cholesky factorisation of the smaller matrix. A small ridge makes all ⟨g, f_j⟩ nearly equal, to s; a large
    one tends to the direction of the sum, g → (1/ridge) Σ_j f_j.

    The original is ξ = g / s with an absolute λ. Here the ridge is relative to the features' scale, and the factor s
    makes g follow that scale, as it does in the other poolings: g(a f) = a g(f), a constant map f pools to
    n / (n + ridge) f, and zeros pool to zeros with a finite gradient. The L2 normalisation that follows in the paper
    makes the factor vanish. Source: Murray and Perronnin, "Generalized Max Pooling", CVPR 2014, and Murray, Jégou,
    Perronnin and Zisserman, "Interferences in Match Kernels", TPAMI 2016: ridge regression in primal and dual form.

    Args:
        ridge: > 0, the λ of features of mean squared norm 1. It counts as no less than the rounding error of the
            matrix, 4 n^1.5 machine epsilons (in float32 1.6e-4 for 7 × 7 places).
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs, mask: as in :class:`PoolingLayer`. A sample without any valid feature pools to zeros.

    Returns:
        (B, d), in the layer's compute dtype.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> frequent_and_rare = tf.constant([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    >>> GeMaxPooling(ridge=1e-4)(frequent_and_rare).numpy().round(2).tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, ridge=1.0, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.ridge = check_number("ridge", ridge, low=0, low_open=True)

    def pool(self, features, valid):
        unit = unit_energy(features, valid)
        count, dim = features.shape[1], features.shape[2]
        if count is None:
            return self._pool_any_size(features, unit)
        return self._dual(features, unit) if count <= dim else self._primal(features, unit)

    def _pool_any_size(self, features, unit):
        fewer = tf.shape(features)[1] <= features.shape[2]

        # XLA does not compile the gradient of a tf.cond whose branches have intermediate results of unknown size.
        @tf.custom_gradient
        def pooled(*both):
            def gradient(upstream):
                return tf.cond(
                    fewer,
                    lambda: vector_jacobian(self._dual, both, upstream),
                    lambda: vector_jacobian(self._primal, both, upstream),
                )

            return tf.cond(fewer, lambda: self._dual(*both), lambda: self._primal(*both)), gradient

        return pooled(features, unit)

    def _dual(self, features, unit):
        similarities = tf.matmul(unit, unit, transpose_b=True)
        weights = ridge_solve(similarities, self._ridge(unit), tf.ones_like(features[:, :, :1]))
        return tf.matmul(features, weights, transpose_a=True)[:, :, 0]

    def _primal(self, features, unit):
        moments = tf.matmul(unit, unit, transpose_a=True)
        return ridge_solve(moments, self._ridge(unit), tf.reduce_sum(features, axis=1)[:, :, tf.newaxis])[:, :, 0]

    def _ridge(self, unit):
        """The ridge, at least the rounding error of a matrix whose trace is n; equal features round alike."""
        rounding = 4 * np.finfo(unit.dtype.as_numpy_dtype).eps
        return tf.maximum(tf.constant(self.ridge, unit.dtype), rounding * tf.cast(tf.shape(unit)[1], unit.dtype) ** 1.5)

    def get_config(self):
        return {**super().get_config(), "ridge": self.ridge}


def unit_energy(features, valid):
    """Scale the features of every sample (B, n, d) to a mean squared norm of 1; zeros stay zeros."""
    # A square would leave the dtype's range; the result does not depend on the scale that is divided out.
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(features), axis=[1, 2], keepdims=True))
    tiny = np.finfo(features.dtype.as_numpy_dtype).tiny
    scaled = features / tf.where(largest > tiny, largest, tf.ones_like(largest))
    energy = masked_mean(tf.reduce_sum(tf.square(scaled), axis=2, keepdims=True), valid)[:, tf.newaxis]
    return scaled * tf.math.rsqrt(tf.where(energy > tiny, energy, tf.ones_like(energy)))


def ridge_solve(matrix, ridge, right):
    """(matrix + ridge I)⁻¹ right, for positive semidefinite (B, k, k) matrices."""
    identity = tf.eye(tf.shape(matrix)[1], dtype=matrix.dtype)
    return tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix + ridge * identity), right)


def vector_jacobian(function, arguments, upstream):
    """Gradients of ⟨function(*arguments), upstream⟩ in the arguments."""
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = function(*arguments)
    return tape.gradient(value, arguments, upstream)
