"""The cross-batch zero-shot regulariser."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count, check_number, check_rank, solver_dtype
from gsp_tf.ops.labels import as_class_indices, check_one_each
from gsp_tf.ops.variables import full_precision_weight


@keras.utils.register_keras_serializable("gsp_tf")
class ZeroShotRegularizer(keras.layers.Layer):
    """Make the prototypes transferable attributes: predict the labels of half of the classes from the other half.

    The batch is split by class into two halves b₁, b₂ with disjoint classes. On each, ridge regression from the
    histograms Z_b to the trainable label embeddings Υ_b gives, in closed form,

        W_b = (Z_bᵀ Z_b + ϵ I)⁻¹ Z_bᵀ Υ_b = Z_bᵀ (Z_b Z_bᵀ + ϵ I)⁻¹ Υ_b,

    solved by Cholesky in the smaller of the two forms, and the other half's classes are asked for:

        L_ZS = mean_{i∈b₂} CE(scale · z_i W_{b₁} Υᵀ, y_i) + mean_{i∈b₁} CE(scale · z_i W_{b₂} Υᵀ, y_i),

    CE being softmax cross-entropy over all training classes. ``weight · L_ZS`` is added with ``add_loss``, in
    training only. A batch with fewer than two classes adds 0. Source: the GSP paper, section 4.3 (ZSR).

    Args:
        num_classes: number of training classes c; labels are in [0, c).
        embedding_dim: size of the label embeddings; by default the histogram's.
        weight: λ in [0, 1]; :class:`gsp_tf.MetricLearner` weighs the metric learning loss with 1 − λ.
        ridge: ϵ > 0; taken as at least the rounding error of Z_bᵀ Z_b, 1e-6 of its trace in float32.
        scale: factor of the scores. The paper has 1, its published code 9.5. With large scales and label embeddings
            the regulariser can overwhelm the loss just after the prototypes were set.
        label_initializer: initialiser of Υ (c, embedding_dim); by default normal with unit expected row norm.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs: ``[histogram, labels]`` of shapes (B, m) and (B,) or (B, 1).
        training: whether to add the loss.

    Returns:
        The histogram, unchanged.

    Raises:
        ValueError: for arguments out of range, or labels outside [0, c) that are known now. Symbolic labels are
            checked when the graph runs, with ``tf.errors.InvalidArgumentError``; ``jit_compile`` drops that check.

    >>> regularizer = ZeroShotRegularizer(num_classes=4)
    >>> histogram = regularizer([tf.ones((4, 8)) / 8, tf.constant([0, 1, 2, 3])], training=True)
    >>> len(regularizer.losses)
    1
    """

    def __init__(self, num_classes, embedding_dim=None, weight=0.1, ridge=0.05, scale=1.0, label_initializer=None,
                 **kwargs):
        # Half precision would round float labels: in bfloat16, 257 is 256.
        super().__init__(autocast=False, **kwargs)
        self.num_classes = check_count("num_classes", num_classes, low=2)
        self.embedding_dim = None if embedding_dim is None else check_count("embedding_dim", embedding_dim)
        self.weight = check_number("weight", weight, low=0, high=1)
        self.ridge = check_number("ridge", ridge, low=0, low_open=True)
        self.scale = check_number("scale", scale, low=0, low_open=True)
        self.label_initializer = None if label_initializer is None else keras.initializers.get(label_initializer)

    def build(self, input_shape):
        size = self.embedding_dim or input_shape[0][-1]
        initializer = self.label_initializer or keras.initializers.RandomNormal(stddev=1 / np.sqrt(size))
        self.label_embeddings = full_precision_weight(
            self, name="label_embeddings", shape=(self.num_classes, size), initializer=initializer
        )
        super().build(input_shape)

    def call(self, inputs, training=False):
        histogram, labels = inputs
        check_rank("histogram", histogram, (2,), "(B, m)")
        if training:
            self.add_loss(self.weight * self.zero_shot_loss(histogram, labels))
        return histogram

    def zero_shot_loss(self, histogram, labels):
        """L_ZS, without the weight: a scalar for (B, m) histograms and (B,) labels."""
        dtype = solver_dtype(histogram.dtype)
        histogram, embeddings = tf.cast(histogram, dtype), tf.cast(self.label_embeddings, dtype)
        labels = as_class_indices(labels, self.num_classes)
        check_one_each("labels", labels, "histogram", histogram)
        halves = tf.cast(_halves_by_class(labels), dtype)
        both = tf.cast(tf.reduce_all(tf.reduce_any(halves > 0, axis=1)), dtype)
        # Rows outside a half are zero and so leave its normal equations alone: shapes stay fixed.
        rows = halves[:, :, tf.newaxis] * histogram
        maps = self._ridge(rows, tf.gather(embeddings, labels))
        scores = self.scale * tf.matmul(tf.matmul(histogram[tf.newaxis], maps), embeddings, transpose_b=True)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.stack([labels, labels]), scores)
        # maps[0] was fitted on the first half and is judged on the second, and the other way round.
        judged = halves[::-1]
        means = tf.math.divide_no_nan(tf.reduce_sum(judged * entropy, axis=1), tf.reduce_sum(judged, axis=1))
        return both * tf.reduce_sum(means)

    def _ridge(self, rows, targets):
        """W of both halves, (2, m, d_e), from rows Z (2, B, m) and targets Υ (B, d_e)."""

        def primal():
            gram = tf.matmul(rows, rows, transpose_a=True)
            return tf.linalg.cholesky_solve(self._factor(gram), tf.einsum("hbm,be->hme", rows, targets))

        def dual():
            gram = tf.matmul(rows, rows, transpose_b=True)
            repeated = tf.stack([targets, targets])
            return tf.matmul(rows, tf.linalg.cholesky_solve(self._factor(gram), repeated), transpose_a=True)

        batch, size = rows.shape[1:]
        if batch is not None:
            return primal() if size <= batch else dual()
        return tf.cond(size <= tf.shape(rows)[1], primal, dual)

    def _factor(self, gram):
        # A ridge below the rounding of what it is added to would leave the matrix indefinite and the factor NaN.
        rounding = 8 * np.finfo(gram.dtype.as_numpy_dtype).eps
        ridge = tf.maximum(tf.stop_gradient(tf.linalg.trace(gram)) * rounding, self.ridge)
        return tf.linalg.cholesky(gram + ridge[:, tf.newaxis, tf.newaxis] * tf.eye(tf.shape(gram)[1], dtype=gram.dtype))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "embedding_dim": self.embedding_dim,
            "weight": self.weight,
            "ridge": self.ridge,
            "scale": self.scale,
            "label_initializer": self.label_initializer and keras.initializers.serialize(self.label_initializer),
        }


def _halves_by_class(labels):
    """(2, B) booleans: which samples belong to the first ⌊C/2⌋ classes of the batch, by order of appearance, and rest.

    Written with fixed shapes only, so that it compiles: tf.unique has none.
    """
    same = labels[:, tf.newaxis] == labels[tf.newaxis, :]
    first = tf.argmax(tf.cast(same, tf.int32), axis=1, output_type=tf.int32)
    opens = tf.cast(tf.equal(first, tf.range(tf.shape(labels)[0])), tf.int32)
    rank = tf.gather(tf.cumsum(opens, exclusive=True), first)
    head = rank < tf.reduce_sum(opens) // 2
    return tf.stack([head, tf.logical_not(head)])
