"""ProxyNCA++ loss."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.proxy_loss import ProxyLoss
from gsp_tf.ops.checks import check_choice, check_number


@keras.utils.register_keras_serializable("gsp_tf")
class ProxyNCALoss(ProxyLoss):
    """Classify every sample by its distances to the proxies of all classes (ProxyNCA++).

        L = mean_x −log( exp(−‖x − p_y‖²/T) / Σ_p exp(−‖x − p‖²/T) )

    with L2-normalised embeddings and proxies, one proxy per class, the sample's own proxy in the denominator. The
    cosine form has ⟨x, p⟩/T in place of −‖x − p‖²/T; as ‖x − p‖² = 2 − 2⟨x, p⟩ it is the Euclidean form of
    temperature 2T. Source: Teh et al., ProxyNCA++, ECCV 2020, section 3. Published T = 1/9; the GSP paper's T = 0.11,
    M = 100.

    Args:
        num_classes: C, number of training classes; labels are in [0, C).
        embedding_dim: D, size of the embeddings.
        temperature: T > 0.
        distance: "euclidean" or "cosine".
        lr_multiplier: M > 0: the proxies are M · q with q trained, under Adam a learning rate M times as large.
        initializer: of the proxies M · q.
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

    >>> loss = ProxyNCALoss(num_classes=2, embedding_dim=2, temperature=1.0)
    >>> loss.assign([[1.0, 0.0], [0.0, 1.0]])
    >>> round(float(loss([0, 1], [[1.0, 0.0], [0.0, 1.0]])), 4)
    0.1269
    """

    def __init__(self, num_classes, embedding_dim, temperature=0.11, distance="euclidean", lr_multiplier=1.0,
                 initializer="he_normal", normalize=True, **kwargs):
        super().__init__(num_classes, embedding_dim, 1, lr_multiplier, initializer, normalize, **kwargs)
        self.temperature = check_number("temperature", temperature, low=0, low_open=True)
        self.distance = check_choice("distance", distance, ("euclidean", "cosine"))

    def proxy_loss(self, labels, embeddings, proxies):
        closeness = tf.matmul(embeddings, proxies, transpose_b=True)
        if self.distance == "euclidean":
            # −‖x − p‖² but for ‖x‖², which is the same for all proxies and cancels.
            closeness = 2 * closeness - tf.reduce_sum(tf.square(proxies), axis=1)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, closeness / self.temperature)
        return tf.reduce_mean(entropy)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature, "distance": self.distance}
