"""Multi-similarity loss."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.pair_loss import PairLoss
from gsp_tf.ops.checks import check_number


@keras.utils.register_keras_serializable("gsp_tf")
class MultiSimilarityLoss(PairLoss):
    """Weigh every pair by its own similarity and by how it compares with the anchor's other pairs (MS).

        L = 1/B Σ_i [ 1/α log(1 + Σ_{p: y_p = y_i} e^{−α (s_ip − λ)}) + 1/β log(1 + Σ_{n: y_n ≠ y_i} e^{β (s_in − λ)}) ]

    with cosine similarities s. With a miner only the pairs that overlap with the other kind's count:

        negatives with s_in > min_p s_ip − ε,   positives with s_ip < max_n s_in + ε,

    and an anchor without positives or without negatives adds 0. Source: Wang et al., Multi-Similarity Loss with
    General Pair Weighting for Deep Metric Learning, CVPR 2019, (11), (12) and (15), with the mean over all anchors.

    Args:
        alpha: α > 0, sharpness among positives.
        beta: β > 0, sharpness among negatives.
        base: λ in [-1, 1], the similarity that pairs are compared with. The GSP paper's (α, β, λ): (2, 40, 0.5) on CUB
            and SOP, (14.35, 75.83, 0.66) on Cars196, (8.49, 57.38, 0.41) on In-shop.
        miner_epsilon: ε ≥ 0, or None for no miner. The miner of the loss's own paper: 0.1.
        normalize: L2-normalise embeddings and references first; without it s is the inner product.
        name: name of the loss.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32.
        ref_labels, ref_embeddings: (R,) and (R, D), the reference set; the batch itself by default, in which no
            sample is paired with itself.

    Returns:
        A scalar.

    Raises:
        ValueError: for parameters out of range, labels that are no whole numbers, or shapes that do not fit.
        TypeError: for embeddings that are not floating point.

    >>> loss = MultiSimilarityLoss(alpha=2.0, beta=40.0, base=0.5)
    >>> round(float(loss([0, 0, 1], tf.constant([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]))), 4)
    0.6712
    """

    def __init__(self, alpha=2.0, beta=40.0, base=0.5, miner_epsilon=None, normalize=True,
                 name="multi_similarity_loss"):
        super().__init__(normalize=normalize, name=name)
        self.alpha = check_number("alpha", alpha, low=0, low_open=True)
        self.beta = check_number("beta", beta, low=0, low_open=True)
        self.base = check_number("base", base, low=-1, high=1)
        self.miner_epsilon = None if miner_epsilon is None else check_number("miner_epsilon", miner_epsilon, low=0)

    def pair_loss(self, embeddings, references, positive, negative, labels):
        similarities = tf.matmul(embeddings, references, transpose_b=True)
        if self.miner_epsilon is not None:
            positive, negative = mine(similarities, positive, negative, self.miner_epsilon)
        centred = similarities - self.base
        pull = log_one_plus_sum_exp(-self.alpha * centred, positive) / self.alpha
        push = log_one_plus_sum_exp(self.beta * centred, negative) / self.beta
        return tf.reduce_mean(pull + push)

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "base": self.base,
            "miner_epsilon": self.miner_epsilon,
        }


def mine(similarities, positive, negative, epsilon):
    """The positives and the negatives (B, R) that the miner keeps; none of an anchor that lacks either."""
    highest = similarities.dtype.max
    hardest_positive = tf.reduce_min(tf.where(positive, similarities, highest), axis=1, keepdims=True)
    hardest_negative = tf.reduce_max(tf.where(negative, similarities, -highest), axis=1, keepdims=True)
    kept_positive = positive & (similarities < hardest_negative + epsilon)
    return kept_positive, negative & (similarities > hardest_positive - epsilon)


def log_one_plus_sum_exp(x, members):
    """log(1 + Σ_j e^{x_ij}) over the members (B, R) of each row: (B,), without overflow, 0 where a row has none."""
    # A finite stand-in for −∞, whose gradients would be NaN; the softplus keeps the digits of small sums.
    log_sum = tf.reduce_logsumexp(tf.where(members, x, x.dtype.min / 2), axis=1)
    return tf.nn.softplus(log_sum)
