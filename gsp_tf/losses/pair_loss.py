"""What the losses that compare pairs of embeddings have in common."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_floating, check_rank, solver_dtype
from gsp_tf.ops.labels import as_labels, check_one_each
from gsp_tf.ops.normalization import l2_normalize


class PairLoss(keras.losses.Loss):
    """A loss between a batch of embeddings and a reference set.

    ``loss(labels, embeddings)`` takes the batch as its own reference set and never pairs a sample with itself;
    ``loss(labels, embeddings, ref_labels, ref_embeddings)`` compares with another set (a memory, proxies), in which
    every entry may be a partner. A subclass defines ``pair_loss``.

    Args:
        normalize: L2-normalise embeddings and references first (mathematics: unless said otherwise, always).
        name: name of the loss.
    """

    def __init__(self, normalize=True, name=None):
        super().__init__(name=name)
        self.normalize = bool(normalize)

    def pair_loss(self, embeddings, references, positive, negative, labels):
        """Return the scalar loss of (B, D) embeddings and (R, D) references.

        ``positive`` and ``negative`` (B, R) are true at the pairs of one class and of two classes; ``labels`` (B,)
        are the classes of the embeddings, int64.
        """
        raise NotImplementedError(f"{type(self).__name__} must define pair_loss")

    def call(self, y_true, y_pred):
        return self(y_true, y_pred)

    # Keras's own __call__ casts the labels to float and averages over samples; a pair loss is one number for the
    # whole batch. Keras hands its sample weight over as the third argument.
    def __call__(self, labels, embeddings, ref_labels=None, ref_embeddings=None, sample_weight=None):
        if sample_weight is not None or (ref_labels is None) != (ref_embeddings is None):
            raise ValueError(
                f"{type(self).__name__} takes (labels, embeddings), or those and (ref_labels, ref_embeddings), "
                "and no sample weights: remove sample_weight, or give both reference arguments"
            )
        labels, embeddings = as_labels(labels), self._prepare("embeddings", embeddings)
        itself = ref_embeddings is None
        references = embeddings if itself else self._prepare("ref_embeddings", ref_embeddings)
        ref_labels = labels if itself else as_labels(ref_labels)
        check_one_each("labels", labels, "embeddings", embeddings)
        check_one_each("ref_labels", ref_labels, "ref_embeddings", references)
        same = labels[:, tf.newaxis] == ref_labels[tf.newaxis, :]
        different = tf.logical_not(same)
        if itself:
            same = tf.linalg.set_diag(same, tf.zeros_like(labels, tf.bool))
        return self.pair_loss(embeddings, references, same, different, labels)

    def _prepare(self, name, embeddings):
        embeddings = tf.convert_to_tensor(embeddings)
        check_floating(name, embeddings)
        check_rank(name, embeddings, (2,), "(B, D)")
        embeddings = tf.cast(embeddings, solver_dtype(embeddings.dtype))
        return l2_normalize(embeddings) if self.normalize else embeddings

    def get_config(self):
        return {"normalize": self.normalize, "name": self.name}


def average_nonzero(terms):
    """AvgNonZero: the mean over the terms that are greater than zero, 0 where there are none."""
    active = tf.cast(terms > 0, terms.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(terms), tf.reduce_sum(active))
