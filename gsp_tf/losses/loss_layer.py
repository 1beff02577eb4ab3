"""What the losses that own variables have in common."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_floating, check_rank, solver_dtype


class LossLayer(keras.layers.Layer):
    """A loss that owns variables: a layer called as ``loss(labels, embeddings)`` that returns a scalar.

    It makes its variables in the constructor, so they exist before the first batch. A subclass defines ``batch_loss``.

    Args:
        embedding_dim: D, or None where any will do.
        **kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, embedding_dim=None, **kwargs):
        # Half precision would round float labels: in bfloat16, 257 is 256.
        super().__init__(autocast=False, **kwargs)
        self.embedding_dim = embedding_dim
        self.built = True

    def batch_loss(self, labels, embeddings, training):
        """Return the scalar loss of labels, as they came, and (B, D) embeddings in float32 or float64."""
        raise NotImplementedError(f"{type(self).__name__} must define batch_loss")

    # Keras takes only tensors as positional arguments; here, as in the pair losses, lists and arrays will do.
    def __call__(self, labels, embeddings, training=True):
        return super().__call__(_as_tensor(labels), _as_tensor(embeddings), training=training)

    def call(self, labels, embeddings, training=True):
        check_floating("embeddings", embeddings)
        check_rank("embeddings", embeddings, (2,), "(B, D)")
        if self.embedding_dim is not None and embeddings.shape[1] not in (None, self.embedding_dim):
            raise ValueError(
                f"embeddings must have shape (B, {self.embedding_dim}); got shape {tuple(embeddings.shape)}: set "
                f"{type(self).__name__}'s embedding_dim to the embedder's"
            )
        return self.batch_loss(labels, tf.cast(embeddings, solver_dtype(embeddings.dtype)), training)

    def compute_output_shape(self, *shapes):
        return ()


def _as_tensor(value):
    return tf.convert_to_tensor(value) if isinstance(value, (list, tuple, np.ndarray)) else value
