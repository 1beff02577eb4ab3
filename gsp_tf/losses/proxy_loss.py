"""What the losses that compare a batch with trainable proxies have in common."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.loss_layer import LossLayer
from gsp_tf.ops.checks import check_count, check_number
from gsp_tf.ops.labels import as_class_indices
from gsp_tf.ops.normalization import l2_normalize
from gsp_tf.ops.variables import full_precision_weight


class ProxyLoss(LossLayer):
    """A loss layer that owns proxies: trainable points (C·K, D), K for each of C classes, class 0's first.

    The proxies are M · q, where q is trained and starts 1/M as large. Under Adam, whose steps do not depend on the
    gradient's size, this is exactly a learning rate M times as large for the proxies (Adam's ``epsilon`` then counts
    as epsilon / M), with one optimizer and under every schedule; under SGD the step grows by M². Source: the
    ``lr_multiplier`` of StyleGAN's mapping network (Karras et al. 2019).

    Args:
        num_classes: C, number of training classes; labels are in [0, C).
        embedding_dim: D, size of the embeddings.
        proxies_per_class: K.
        lr_multiplier: M > 0. The GSP paper trains proxies with M = 100.
        initializer: of the proxies M · q. Where they are normalised, its scale sets how far a step turns them.
        normalize: L2-normalise embeddings and proxies first.
        **kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, num_classes, embedding_dim, proxies_per_class=1, lr_multiplier=1.0, initializer="he_normal",
                 normalize=True, **kwargs):
        super().__init__(check_count("embedding_dim", embedding_dim), **kwargs)
        self.num_classes = check_count("num_classes", num_classes)
        self.proxies_per_class = check_count("proxies_per_class", proxies_per_class)
        self.lr_multiplier = check_number("lr_multiplier", lr_multiplier, low=0, low_open=True)
        self.initializer = keras.initializers.get(initializer)
        self.normalize = bool(normalize)
        self.scaled_proxies = full_precision_weight(
            self,
            name="scaled_proxies",
            shape=(self.num_classes * self.proxies_per_class, self.embedding_dim),
            initializer=lambda shape, dtype=None: self.initializer(shape, dtype=dtype) / self.lr_multiplier,
        )

    @property
    def labels(self):
        """Class of each proxy, (C·K,) int64."""
        return tf.constant(np.repeat(np.arange(self.num_classes), self.proxies_per_class), tf.int64)

    @property
    def values(self):
        """The proxies M · q, (C·K, D), as they are: not normalised."""
        return self.lr_multiplier * tf.convert_to_tensor(self.scaled_proxies)

    def assign(self, proxies):
        """Set the proxies M · q to (C·K, D) values."""
        self.scaled_proxies.assign(tf.cast(proxies, self.scaled_proxies.dtype) / self.lr_multiplier)

    def batch_loss(self, labels, embeddings, training):
        labels, proxies = as_class_indices(labels, self.num_classes), tf.cast(self.values, embeddings.dtype)
        return self.proxy_loss(labels, self.prepare(embeddings), self.prepare(proxies))

    def prepare(self, points):
        """Embeddings or proxies as ``proxy_loss`` takes them: L2-normalised, with ``normalize``."""
        return l2_normalize(points) if self.normalize else points

    def proxy_loss(self, labels, embeddings, proxies):
        """Return the scalar loss of (B,) labels in range, (B, D) embeddings and (C·K, D) proxies."""
        raise NotImplementedError(f"{type(self).__name__} must define proxy_loss")

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "embedding_dim": self.embedding_dim,
            "lr_multiplier": self.lr_multiplier,
            "initializer": keras.initializers.serialize(self.initializer),
            "normalize": self.normalize,
        }
