"""Cross-batch memory."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.inner_loss import check_loss, deserialize_loss, loss_layers, serialize_loss
from gsp_tf.losses.loss_layer import LossLayer
from gsp_tf.ops.checks import check_count
from gsp_tf.ops.labels import as_labels
from gsp_tf.ops.variables import assign_rows, step_state


@keras.utils.register_keras_serializable("gsp_tf")
class CrossBatchMemory(LossLayer):
    """Compare a batch with the embeddings of the last K batches, too (XBM).

        L = loss(batch, batch) + loss(batch, memory)    once ``start_after`` steps have passed and the memory is full,
        L = loss(batch, batch)                          before, and in evaluation

    The memory is a ring buffer of embeddings, as the loss is given them and without gradient, and their labels. Both
    terms are taken before the batch enters the memory, so a sample never meets itself there; the published code
    enters it first and drops similarities of 1. The memory, its position and its counts are non-trainable weights,
    saved with the model; under a ``tf.distribute`` strategy every replica must pass the global batch, as
    :class:`gsp_tf.MetricLearner` does. Source: Wang et al., Cross-Batch Memory for Embedding Learning, CVPR 2020,
    algorithm 1. The GSP paper's K: 25 (CUB, Cars196), 400 (In-shop), 1,400 (SOP), with start_after 1,000.

    Args:
        loss: pair loss, called as ``loss(labels, embeddings)`` and with a reference set.
        size_in_batches: K; the memory holds K · batch_size samples.
        start_after: training steps before the memory is used.
        batch_size: size of a training batch, over all replicas. Batches of other sizes work: the ring turns by samples.
        embedding_dim: D, size of the embeddings.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32, and so stored.
        training: False to leave the memory unused and unchanged.

    Returns:
        A scalar.

    Raises:
        ValueError: for arguments out of range or shapes that do not fit.
        TypeError: for a loss that cannot be called, or embeddings that are not floating point.

    >>> from gsp_tf.losses import ContrastiveLoss
    >>> memory = CrossBatchMemory(ContrastiveLoss(), size_in_batches=1, start_after=0, batch_size=2, embedding_dim=2)
    >>> first, second = [[1.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]]
    >>> round(float(memory([0, 1], first)), 4), round(float(memory([0, 1], second)), 4)
    (0.0, 1.4142)
    """

    def __init__(self, loss, size_in_batches, start_after=1000, *, batch_size, embedding_dim, **kwargs):
        super().__init__(check_count("embedding_dim", embedding_dim), **kwargs)
        self.loss = check_loss("loss", loss)
        self.layers_of_loss = loss_layers(loss)
        self.size_in_batches = check_count("size_in_batches", size_in_batches)
        self.start_after = check_count("start_after", start_after, low=0)
        self.batch_size = check_count("batch_size", batch_size)
        self.embeddings = step_state(
            self, name="embeddings", shape=(self.capacity, self.embedding_dim), initializer="zeros"
        )
        counts = {"initializer": "zeros", "dtype": "int64"}
        self.labels = step_state(self, name="labels", shape=(self.capacity,), **counts)
        self.pointer = step_state(self, name="pointer", shape=(), **counts)
        self.count = step_state(self, name="count", shape=(), **counts)
        self.steps = step_state(self, name="steps", shape=(), **counts)

    @property
    def capacity(self):
        """How many samples the memory holds when full."""
        return self.size_in_batches * self.batch_size

    def batch_loss(self, labels, embeddings, training):
        labels = as_labels(labels)
        loss = self.loss(labels, embeddings)
        if not training:
            return loss
        active = (tf.convert_to_tensor(self.steps) >= self.start_after) & (
            tf.convert_to_tensor(self.count) >= self.capacity
        )
        loss += tf.cond(active, lambda: self._memory_loss(labels, embeddings), lambda: tf.zeros_like(loss))
        self._enqueue(labels, tf.stop_gradient(embeddings))
        return loss

    def _memory_loss(self, labels, embeddings):
        stored = tf.cast(tf.convert_to_tensor(self.embeddings), embeddings.dtype)
        return self.loss(labels, embeddings, tf.convert_to_tensor(self.labels), stored)

    def _enqueue(self, labels, embeddings):
        size = tf.shape(labels, out_type=tf.int64)[0]
        # Of a batch larger than the memory the last samples stay, as if they had come one by one.
        labels, embeddings = labels[-self.capacity:], embeddings[-self.capacity:]
        end = tf.convert_to_tensor(self.pointer) + size
        rows = tf.range(end - tf.shape(labels, out_type=tf.int64)[0], end) % self.capacity
        assign_rows(self.embeddings, rows, embeddings)
        assign_rows(self.labels, rows, labels)
        self.pointer.assign(end % self.capacity)
        self.count.assign(tf.minimum(tf.convert_to_tensor(self.count) + size, self.capacity))
        self.steps.assign(tf.convert_to_tensor(self.steps) + 1)

    def reset(self):
        """Empty the memory and start counting steps again, as if it were new."""
        for variable in (self.embeddings, self.labels, self.pointer, self.count, self.steps):
            variable.assign(tf.zeros(variable.shape, variable.dtype))

    def get_config(self):
        return {
            **super().get_config(),
            "loss": serialize_loss(self.loss),
            "size_in_batches": self.size_in_batches,
            "start_after": self.start_after,
            "batch_size": self.batch_size,
            "embedding_dim": self.embedding_dim,
        }

    @classmethod
    def from_config(cls, config):
        return super().from_config({**config, "loss": deserialize_loss(config["loss"])})
