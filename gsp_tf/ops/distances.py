"""Euclidean distances between all pairs, with finite gradients where two vectors coincide."""

import numpy as np
import tensorflow as tf


def pairwise_distances(x, y):
    """Distances d_ij = ‖x_i − y_j‖₂ between the rows of ``x`` and of ``y``.

    Args:
        x: (..., m, d) floating point; leading axes broadcast with those of ``y``.
        y: (..., n, d) of the same dtype.

    Returns:
        (..., m, n). From ‖x‖² + ‖y‖² − 2⟨x, y⟩ by one matrix product, so no (m, n, d) tensor exists. The square
        root's slope is infinite at 0: a squared distance below the rounding error of those three terms is
        returned as exactly 0, with zero gradient.

    >>> pairwise_distances(tf.constant([[0.0, 0.0]]), tf.constant([[3.0, 4.0], [0.0, 0.0]])).numpy().tolist()
    [[5.0, 0.0]]
    """
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    xx = tf.reduce_sum(tf.square(x), axis=-1)[..., :, tf.newaxis]
    yy = tf.reduce_sum(tf.square(y), axis=-1)[..., tf.newaxis, :]
    return guarded_sqrt(xx + yy - 2 * _inner_products(x, y), scale=xx + yy)


def _inner_products(x, y):
    """⟨x_i, y_j⟩ (..., m, n). One ``x`` for a whole batch of ``y`` makes one large product, there and back."""
    if x.shape.rank != 2 or y.shape.rank != 3:
        return tf.matmul(x, y, transpose_b=True)
    batch, count, dim = tf.unstack(tf.shape(y))
    flat = tf.matmul(x, tf.reshape(y, (batch * count, dim)), transpose_b=True)
    return tf.transpose(tf.reshape(flat, (tf.shape(x)[0], batch, count)), (1, 0, 2))


def guarded_sqrt(squared, scale):
    """Square root of differences of numbers of size ``scale``; 0, without gradient, where rounding is all there is."""
    rounding = 8 * np.finfo(squared.dtype.as_numpy_dtype).eps
    distinct = squared > tf.stop_gradient(scale) * squared.dtype.as_numpy_dtype(rounding)
    return tf.where(distinct, tf.sqrt(tf.where(distinct, squared, tf.ones_like(squared))), tf.zeros_like(squared))
