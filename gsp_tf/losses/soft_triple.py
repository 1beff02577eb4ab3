"""SoftTriple loss."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.proxy_loss import ProxyLoss
from gsp_tf.ops.checks import check_number
from gsp_tf.ops.distances import pairwise_distances


@keras.utils.register_keras_serializable("gsp_tf")
class SoftTripleLoss(ProxyLoss):
    """Softmax over classes of several centres each, with a margin, and a regulariser that merges centres.

        S_ic = Σ_k softmax_k(⟨x_i, w_ck⟩/γ) ⟨x_i, w_ck⟩
        L = mean_i −log( e^{λ(S_iy − δ)} / (e^{λ(S_iy − δ)} + Σ_{c≠y} e^{λ S_ic}) )
            + τ/(C K (K−1)) Σ_c Σ_{t<s} ‖w_cs − w_ct‖₂

    with L2-normalised embeddings x and centres w, of which ‖w_s − w_t‖ = √(2 − 2⟨w_s, w_t⟩). Source: Qian et al.,
    SoftTriple Loss, ICCV 2019, section 3. Published and the defaults: (λ, γ, τ, δ) = (20, 0.1, 0.2, 0.01) with 10
    centres; the thesis has the same for CUB and In-shop, (17.69, 19.18, 0.0669, 0.3588) for Cars196 and
    (100, 47.9, 0.2, 0.3145) for SOP, with 10 centres everywhere.

    Args:
        num_classes: C, number of training classes; labels are in [0, C).
        embedding_dim: D, size of the embeddings.
        centers_per_class: K. With one the regulariser is 0.
        lambda_: λ > 0, factor of the similarities.
        gamma: γ > 0, smoothness of the choice among a class's centres: small takes the nearest.
        tau: τ ≥ 0, weight of the regulariser.
        margin: δ ≥ 0.
        lr_multiplier: M > 0: the centres are M · q with q trained, under Adam a learning rate M times as large.
        initializer: of the centres M · q.
        normalize: L2-normalise embeddings and centres first.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32.

    Returns:
        A scalar.

    Raises:
        ValueError: for arguments out of range, shapes that do not fit, or labels outside [0, C) that are known now.
            Symbolic labels raise ``tf.errors.InvalidArgumentError``; ``jit_compile`` drops that check.

    >>> loss = SoftTripleLoss(num_classes=2, embedding_dim=2, centers_per_class=1, lambda_=1.0, margin=0.0)
    >>> loss.assign([[1.0, 0.0], [0.0, 1.0]])
    >>> round(float(loss([0, 1], [[1.0, 0.0], [0.0, 1.0]])), 4)
    0.3133
    """

    def __init__(self, num_classes, embedding_dim, centers_per_class=10, lambda_=20.0, gamma=0.1, tau=0.2, margin=0.01,
                 lr_multiplier=1.0, initializer="he_normal", normalize=True, **kwargs):
        super().__init__(num_classes, embedding_dim, centers_per_class, lr_multiplier, initializer, normalize, **kwargs)
        self.lambda_ = check_number("lambda_", lambda_, low=0, low_open=True)
        self.gamma = check_number("gamma", gamma, low=0, low_open=True)
        self.tau = check_number("tau", tau, low=0)
        self.margin = check_number("margin", margin, low=0)

    def proxy_loss(self, labels, embeddings, proxies):
        sizes = (-1, self.num_classes, self.proxies_per_class)
        similarity = tf.reshape(tf.matmul(embeddings, proxies, transpose_b=True), sizes)
        relaxed = tf.reduce_sum(tf.nn.softmax(similarity / self.gamma) * similarity, axis=2)
        margins = tf.one_hot(labels, self.num_classes, on_value=self.margin, off_value=0.0, dtype=relaxed.dtype)
        scores = self.lambda_ * (relaxed - margins)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores))
        return loss + self.tau * self._mean_spread(proxies) if self.proxies_per_class > 1 else loss

    def _mean_spread(self, proxies):
        """Σ_c Σ_{t<s} ‖w_cs − w_ct‖₂ / (C K (K−1)), half the mean distance of a class's centres."""
        classes, count = self.num_classes, self.proxies_per_class
        centers = tf.reshape(proxies, (classes, count, self.embedding_dim))
        distances = pairwise_distances(centers, centers)
        # A centre's distance to itself is rounding, whose root could come out as anything but 0.
        distances = tf.linalg.set_diag(distances, tf.zeros((classes, count), distances.dtype))
        return tf.reduce_sum(distances) / (2 * classes * count * (count - 1))

    def get_config(self):
        return {
            **super().get_config(),
            "centers_per_class": self.proxies_per_class,
            "lambda_": self.lambda_,
            "gamma": self.gamma,
            "tau": self.tau,
            "margin": self.margin,
        }
