"""Variables that a half-precision policy leaves alone, and variables that a step writes on every replica."""

import inspect

import tensorflow as tf
from tensorflow import keras


def full_precision_weight(layer, **kwargs):
    """``layer.add_weight(**kwargs)``, read in its own dtype also where the layer computes in half precision.

    Keras hands a layer's ``call`` its variables rounded to the compute dtype: under mixed_bfloat16 a ratio of 0.999
    would be 1, which is another pooling.
    """
    name = "autocast" if "autocast" in inspect.signature(layer.add_weight).parameters else "experimental_autocast"
    return layer.add_weight(**kwargs, **{name: False})


def step_state(layer, **kwargs):
    """A non-trainable weight that the training step itself assigns, the same on every replica.

    Under a ``tf.distribute`` strategy every replica must come to the same value by itself; the first one's is written
    to all copies, so that they cannot drift apart.
    """
    aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
    # Keras 3 has its own names for the aggregations.
    if hasattr(keras, "Variable"):
        aggregation = "only_first_replica"
    return full_precision_weight(layer, trainable=False, aggregation=aggregation, **kwargs)


def assign_rows(variable, indices, rows):
    """Write ``rows`` (n, ...) at the distinct ``indices`` (n,) of a weight, in place: the other rows are not copied."""
    # Keras 3 wraps TensorFlow's variable.
    inner = variable if callable(variable.value) else variable.value
    inner.scatter_update(tf.IndexedSlices(tf.cast(rows, inner.dtype), indices))
