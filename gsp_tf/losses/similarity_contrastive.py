"""Contrastive loss on similarities, as cross-batch memory uses it (C1)."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.pair_loss import PairLoss
from gsp_tf.ops.checks import check_number


@keras.utils.register_keras_serializable("gsp_tf")
class SimilarityContrastiveLoss(PairLoss):
    """Raise the similarity of every positive pair, lower that of the negative pairs above a margin (C1).

        L = 1/B Σ_i [ Σ_{j: y_j = y_i} (1 − s_ij) + Σ_{j: y_j ≠ y_i, s_ij > m} s_ij ]

    with cosine similarities s_ij: sums over the partners, a mean over the B anchors. So the loss grows with the
    reference set. Source: the published code of Wang et al., Cross-Batch Memory for Embedding Learning, CVPR 2020,
    which the GSP paper uses as C1; there, pairs with s > 1 − 1e-5 are dropped to leave out the sample itself.

    Args:
        margin: m in [-1, 1]. The GSP paper: 0.5 on CUB, Cars196, In-shop and SOP.
        normalize: L2-normalise embeddings and references first; without it s_ij is the inner product.
        name: name of the loss.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32.
        ref_labels, ref_embeddings: (R,) and (R, D), the reference set; the batch itself by default, in which no
            sample is paired with itself.

    Returns:
        A scalar.

    Raises:
        ValueError: for a margin out of range, labels that are no whole numbers, or shapes that do not fit.
        TypeError: for embeddings that are not floating point.

    >>> loss = SimilarityContrastiveLoss(margin=0.5)
    >>> round(float(loss([0, 0, 1], tf.constant([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]))), 4)
    1.6
    """

    def __init__(self, margin=0.5, normalize=True, name="similarity_contrastive_loss"):
        super().__init__(normalize=normalize, name=name)
        self.margin = check_number("margin", margin, low=-1, high=1)

    def pair_loss(self, embeddings, references, positive, negative, labels):
        similarities = tf.matmul(embeddings, references, transpose_b=True)
        zero = tf.zeros_like(similarities)
        pull = tf.where(positive, 1 - similarities, zero)
        push = tf.where(negative & (similarities > self.margin), similarities, zero)
        return tf.reduce_mean(tf.reduce_sum(pull + push, axis=1))

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
