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


def check_one_each(name, labels, counterpart, samples):
    """Raise ``ValueError`` where (B,) labels and the samples (B, ...) they belong to are known to differ in number."""
    if not labels.shape[:1].is_compatible_with(samples.shape[:1]):
        raise ValueError(f"{name} must be as many as {counterpart}, {samples.shape[0]}; got {labels.shape[0]}")


def as_class_indices(labels, num_classes):
    """:func:`as_labels` for labels that index a table of ``num_classes`` classes.

    Raises:
        ValueError: also for labels outside [0, num_classes) that are known now; symbolic ones raise
            ``tf.errors.InvalidArgumentError`` when the graph runs. ``jit_compile`` drops that check.
    """
    labels = as_labels(labels)
    message = f"labels must be class indices in [0, {num_classes})"
    inside = tf.reduce_all((labels >= 0) & (labels < num_classes))
    if tf.executing_eagerly():
        if not inside:
            outside = labels.numpy()[(labels.numpy() < 0) | (labels.numpy() >= num_classes)]
            raise ValueError(f"{message}; got {outside[0]}: set num_classes to the number of training classes")
        return labels
    with tf.control_dependencies([tf.debugging.Assert(inside, [message, labels])]):
        return tf.identity(labels)
