"""Proxy anchor loss."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.proxy_loss import ProxyLoss
from gsp_tf.ops.checks import check_number


@keras.utils.register_keras_serializable("gsp_tf")
class ProxyAnchorLoss(ProxyLoss):
    """Every proxy as an anchor that pulls its class in the batch and pushes the others, the hardest most.

        L = 1/|P⁺| Σ_{p∈P⁺} log(1 + Σ_{x∈X_p⁺} exp(−α (s(x,p) − δ))) + 1/|P| Σ_p log(1 + Σ_{x∈X_p⁻} exp(α (s(x,p) + δ)))

    with similarities s = ⟨x, p⟩ of L2-normalised embeddings and proxies, one proxy per class, P⁺ the proxies whose
    class is in the batch, and X_p⁺, X_p⁻ the batch's samples of p's class and of others. Source: Kim et al., Proxy
    Anchor Loss for Deep Metric Learning, CVPR 2020, section 3.2. Published, and the GSP paper's: δ = 0.1, α = 32,
    M = 100.

    Args:
        num_classes: C, number of training classes; labels are in [0, C).
        embedding_dim: D, size of the embeddings.
        margin: δ ≥ 0.
        alpha: α > 0, the sharpness.
        lr_multiplier: M > 0: the proxies are M · q with q trained, under Adam a learning rate M times as large.
        initializer: of the proxies M · q; the default is the published code's.
        normalize: L2-normalise embeddings and proxies first.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32.

    Returns:
        A scalar.

    Raises:
        ValueError: for arguments out of range, shapes that do not fit, or labels outside [0, C) that are known now.
            Symbolic labels raise ``tf.errors.InvalidArgumentError``; ``jit_compile`` drops that check.

    >>> loss = ProxyAnchorLoss(num_classes=2, embedding_dim=2, alpha=1.0)
    >>> loss.assign([[1.0, 0.0], [0.0, 1.0]])
    >>> round(float(loss([0, 1], [[1.0, 0.0], [0.0, 1.0]])), 4)
    1.0856
    """

    def __init__(self, num_classes, embedding_dim, margin=0.1, alpha=32.0, lr_multiplier=1.0, initializer="he_normal",
                 normalize=True, **kwargs):
        super().__init__(num_classes, embedding_dim, 1, lr_multiplier, initializer, normalize, **kwargs)
        self.margin = check_number("margin", margin, low=0)
        self.alpha = check_number("alpha", alpha, low=0, low_open=True)

    def proxy_loss(self, labels, embeddings, proxies):
        similarity = tf.matmul(embeddings, proxies, transpose_b=True)
        own = labels[:, tf.newaxis] == self.labels[tf.newaxis, :]
        pull = _log_one_plus_sum_exp(-self.alpha * (similarity - self.margin), own)
        push = _log_one_plus_sum_exp(self.alpha * (similarity + self.margin), tf.logical_not(own))
        # A proxy without positives has a pull of log 1 = 0.
        present = tf.reduce_sum(tf.cast(tf.reduce_any(own, axis=0), pull.dtype))
        return tf.math.divide_no_nan(tf.reduce_sum(pull), present) + tf.reduce_mean(push)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "alpha": self.alpha}


def _log_one_plus_sum_exp(exponents, mask):
    """log(1 + Σ_i exp(e_ij)) over the rows i where the mask is true: (P,) of (B, P), without overflow."""
    masked = tf.where(mask, exponents, tf.constant(-np.inf, exponents.dtype))
    return tf.reduce_logsumexp(tf.concat([tf.zeros_like(masked[:1]), masked], axis=0), axis=0)
