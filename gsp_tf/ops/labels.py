"""Class labels as every part of the package sees them."""

import numpy as np
import tensorflow as tf

from gsp_tf.ops.checks import check_rank


def as_labels(labels):
    """Return class labels as an int64 tensor of shape (B,).

    Integers of any dtype and of shape (B,) or (B, 1) mean the same, and so do the whole-number floats that Keras
    makes of them.

    Raises:
        ValueError: for another shape, or for fractional labels that are known now; fractional symbolic labels raise
            ``tf.errors.InvalidArgumentError`` when the graph runs.
    """
    labels = tf.convert_to_tensor(labels)
    check_rank("labels", labels, (1, 2), "(B,) or (B, 1)")
    if labels.shape.rank == 2 and labels.shape[1] not in (1, None):
        raise ValueError(f"labels must be one class index per sample, (B,) or (B, 1); got shape {tuple(labels.shape)}")
    if labels.dtype.is_floating:
        message = "labels must be whole numbers, one class index per sample; got fractions"
        whole = tf.reduce_all(tf.equal(labels, tf.round(labels)))
        static = whole.numpy() if tf.executing_eagerly() else tf.get_static_value(whole)
        if static is not None and not np.all(static):
            raise ValueError(message)
        if static is None:
            with tf.control_dependencies([tf.debugging.Assert(whole, [message, labels])]):
                labels = tf.identity(labels)
    elif not labels.dtype.is_integer:
        raise ValueError(f"labels must be whole numbers, one class index per sample; got dtype {labels.dtype.name}")
    return tf.cast(tf.reshape(labels, (-1,)), tf.int64)
