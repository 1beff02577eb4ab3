"""Tensors of all replicas of a ``tf.distribute`` strategy, seen as one global batch."""

import numpy as np
import tensorflow as tf


def replica_count():
    """How many replicas run the current step together (1 without a strategy)."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gather_batch(tensor):
    """Concatenate a tensor of every replica along the first axis, in replica order; differentiable.

    Every replica receives the same global batch. Outside a strategy, or in one of a single replica, this is the
    identity.
    """
    context = tf.distribute.get_replica_context()
    if context is None or replica_count() == 1:
        return tensor
    # Without the identity TensorFlow fails with "destinations can not be empty".
    gathered = context.all_gather(tf.identity(tensor), axis=0)
    batch = None if tensor.shape[0] is None else tensor.shape[0] * replica_count()
    return tf.ensure_shape(gathered, (batch, *tensor.shape[1:]))


def as_array(variable):
    """The value of a variable as a NumPy array that later assignments leave alone; of one copy if there are several."""
    return np.array(tf.convert_to_tensor(variable))
