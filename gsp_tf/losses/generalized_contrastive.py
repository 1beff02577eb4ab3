"""Generalised contrastive loss, with a fixed boundary or one trainable boundary per class."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.class_margins import ClassMargins
from gsp_tf.losses.pair_loss import PairLoss, average_nonzero
from gsp_tf.ops.checks import check_choice, check_number
from gsp_tf.ops.distances import pairwise_distances


@keras.utils.register_keras_serializable("gsp_tf")
class GeneralizedContrastiveLoss(PairLoss):
    """Positive pairs nearer than a boundary by a margin, negative pairs farther by the same margin.

        ℓ_ij = relu(ι_ij (d_ij − β) + α),   ι_ij = 1 where y_i = y_j, −1 elsewhere

    with Euclidean distances d_ij between L2-normalised embeddings. The thesis behind chance-constrained programming
    (Gurbuz, lemma 3.2.1) minimises the expectation of ℓ over pairs, in a batch the mean over all of them (3.1.2):

        average="all"      L = mean_{(i,j)} ℓ_ij
        average="nonzero"  L = AvgNonZero_{(i,j): y_i = y_j} ℓ_ij + AvgNonZero_{(i,j): y_i ≠ y_j} ℓ_ij

    AvgNonZero is the mean over the terms greater than zero, 0 where there are none: that is
    ``ContrastiveLoss(pos_margin=β − α, neg_margin=β + α)``. With ``num_classes``, β is that of the anchor's class y_i
    and trainable: the margin loss of Wu et al., Sampling Matters in Deep Embedding Learning, ICCV 2017, the
    thesis's (2.1.3). Those boundaries are the layer ``loss.margins``. A Keras loss has no variables of its own, so the
    model must hold that layer as an attribute to train and save it.

    Args:
        alpha: α > 0, the margin.
        beta: β ≥ α, the boundary, or what the boundaries start from. Wu et al.: α = 0.2, β = 1.2. The GSP paper's C2
            in these terms, (α, β): (0.19205, 0.19205) on CUB, (0.13785, 0.40305) on Cars196, (0.1136, 0.3994) on
            In-shop and SOP.
        num_classes: C, for one trainable boundary per class, labels being in [0, C); None for a fixed one.
        average: "all" or "nonzero".
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
        ValueError: for parameters out of range, labels that are no whole numbers or outside [0, C), or shapes that do
            not fit.
        TypeError: for embeddings that are not floating point.

    >>> embeddings = tf.constant([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> round(float(GeneralizedContrastiveLoss(alpha=0.25, beta=1.5)([0, 0, 1], embeddings)), 4)
    0.1667
    >>> loss = GeneralizedContrastiveLoss(alpha=0.25, beta=1.5, num_classes=2)
    >>> len(loss.margins.trainable_variables), round(float(loss([0, 0, 1], embeddings)), 4)
    (1, 0.1667)
    """

    def __init__(self, alpha=0.2, beta=1.2, num_classes=None, average="all", normalize=True,
                 name="generalized_contrastive_loss"):
        super().__init__(normalize=normalize, name=name)
        self.alpha = check_number("alpha", alpha, low=0, low_open=True)
        self.beta = check_number("beta", beta, low=self.alpha)
        self.average = check_choice("average", average, ("all", "nonzero"))
        self.margins = None if num_classes is None else ClassMargins(num_classes, self.beta)

    def pair_loss(self, embeddings, references, positive, negative, labels):
        distances = pairwise_distances(embeddings, references)
        excess = distances - self._boundary(labels, distances.dtype)
        zero = tf.zeros_like(distances)
        pull = tf.where(positive, tf.nn.relu(self.alpha + excess), zero)
        push = tf.where(negative, tf.nn.relu(self.alpha - excess), zero)
        if self.average == "nonzero":
            return average_nonzero(pull) + average_nonzero(push)
        count = tf.reduce_sum(tf.cast(positive | negative, distances.dtype))
        return tf.math.divide_no_nan(tf.reduce_sum(pull + push), count)

    def _boundary(self, labels, dtype):
        """β as a number, or the anchors' (B, 1)."""
        if self.margins is None:
            return self.beta
        return tf.cast(self.margins(labels), dtype)[:, tf.newaxis]

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "num_classes": self.margins and self.margins.num_classes,
            "average": self.average,
        }
