"""Contrastive loss with a positive margin (C2)."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.pair_loss import PairLoss, average_nonzero
from gsp_tf.ops.checks import check_number
from gsp_tf.ops.distances import pairwise_distances


@keras.utils.register_keras_serializable("gsp_tf")
class ContrastiveLoss(PairLoss):
    """Pull pairs of one class to within a margin, push pairs of two classes beyond another (C2).

        L = AvgNonZero_{(i,j): y_i = y_j} relu(d_ij − m⁺) + AvgNonZero_{(i,j): y_i ≠ y_j} relu(m⁻ − d_ij)

    with Euclidean distances d_ij between L2-normalised embeddings; AvgNonZero is the mean over the terms greater than
    zero, 0 where there are none. Source: the GSP paper's C2, after Hadsell et al. 2006.

    Args:
        pos_margin: m⁺ ≥ 0.
        neg_margin: m⁻ > 0. Distances of unit vectors end at 2.
        normalize: L2-normalise embeddings and references first.
        name: name of the loss.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32.
        ref_labels, ref_embeddings: (R,) and (R, D), the reference set; the batch itself by default, in which no
            sample is paired with itself.

    Returns:
        A scalar.

    Raises:
        ValueError: for margins out of range, labels that are no whole numbers, or shapes that do not fit.

    >>> loss = ContrastiveLoss(pos_margin=0.0, neg_margin=0.5)
    >>> round(float(loss([0, 0, 1], tf.constant([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))), 4)
    1.4142
    """

    def __init__(self, pos_margin=0.0, neg_margin=0.5, normalize=True, name="contrastive_loss"):
        super().__init__(normalize=normalize, name=name)
        self.pos_margin = check_number("pos_margin", pos_margin, low=0)
        self.neg_margin = check_number("neg_margin", neg_margin, low=0, low_open=True)

    def pair_loss(self, embeddings, references, positive, negative, labels):
        distances = pairwise_distances(embeddings, references)
        zero = tf.zeros_like(distances)
        pull = average_nonzero(tf.where(positive, tf.nn.relu(distances - self.pos_margin), zero))
        push = average_nonzero(tf.where(negative, tf.nn.relu(self.neg_margin - distances), zero))
        return pull + push

    def get_config(self):
        return {**super().get_config(), "pos_margin": self.pos_margin, "neg_margin": self.neg_margin}
