"""Proxies that turn any pair loss into a proxy loss."""

from tensorflow import keras

from gsp_tf.losses.inner_loss import check_loss, deserialize_loss, loss_layers, serialize_loss
from gsp_tf.losses.pair_loss import PairLoss
from gsp_tf.losses.proxy_loss import ProxyLoss


@keras.utils.register_keras_serializable("gsp_tf")
class Proxies(ProxyLoss):
    """Trainable proxies of every class; with a pair loss, the proxy loss that compares a batch with them.

        L = loss(labels, embeddings, proxies.labels, proxies.values)

    The proxies are M · q with q trained: under Adam a learning rate M times as large (:class:`ProxyLoss` says why).

    Args:
        num_classes: C, number of training classes; labels are in [0, C).
        embedding_dim: D, size of the embeddings.
        proxies_per_class: K; the proxies' shape is (C·K, D), class 0's first.
        loss: pair loss, called with a reference set; None to hold the proxies alone.
        lr_multiplier: M > 0. The GSP paper trains proxies with M = 100.
        initializer: of the proxies M · q.
        normalize: L2-normalise embeddings and proxies first. The pair loss has its own ``normalize``.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32.

    Returns:
        A scalar.

    Raises:
        ValueError: for arguments out of range, shapes that do not fit, labels outside [0, C) that are known now
            (symbolic ones raise ``tf.errors.InvalidArgumentError``; ``jit_compile`` drops that check), or a call
            without a loss.
        TypeError: for a loss that cannot be called, or embeddings that are not floating point.

    >>> from gsp_tf.losses import ContrastiveLoss
    >>> proxies = Proxies(num_classes=2, embedding_dim=2, loss=ContrastiveLoss(neg_margin=0.5))
    >>> proxies.assign([[1.0, 0.0], [0.0, 1.0]])
    >>> round(float(proxies([0, 1], [[1.0, 0.0], [1.0, 0.0]])), 4)
    1.9142
    """

    def __init__(self, num_classes, embedding_dim, proxies_per_class=1, loss=None, lr_multiplier=1.0,
                 initializer="he_normal", normalize=True, **kwargs):
        super().__init__(num_classes, embedding_dim, proxies_per_class, lr_multiplier, initializer, normalize, **kwargs)
        self.loss = loss if loss is None else check_loss("loss", loss)
        self.layers_of_loss = loss_layers(loss)

    def prepare(self, points):
        # To normalise twice changes nothing, and took a fourth of the contrastive loss's time.
        loss_does = isinstance(self.loss, PairLoss) and self.loss.normalize
        return points if loss_does else super().prepare(points)

    def proxy_loss(self, labels, embeddings, proxies):
        if self.loss is None:
            raise ValueError(
                "loss must be a pair loss where proxies are called with a batch; got None: give "
                "Proxies(..., loss=gsp_tf.ContrastiveLoss())"
            )
        return self.loss(labels, embeddings, self.labels, proxies)

    def get_config(self):
        return {
            **super().get_config(), "proxies_per_class": self.proxies_per_class, "loss": serialize_loss(self.loss)
        }

    @classmethod
    def from_config(cls, config):
        return super().from_config({**config, "loss": deserialize_loss(config["loss"])})
