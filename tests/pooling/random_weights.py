"""A layer in the middle of its training, and whether everything that it gives is finite."""

import numpy as np
import tensorflow as tf


def randomized(layer, input_shape, rng, scale=0.5):
    """Build the layer and add noise to its trainable weights, so that none is at a special value."""
    layer.build(input_shape)
    for variable in layer.trainable_variables:
        value = np.array(tf.convert_to_tensor(variable))
        variable.assign(value + scale * rng.normal(size=value.shape))
    return layer


def array(variable):
    return np.array(tf.convert_to_tensor(variable))


def finite_everywhere(layer, inputs, mask=None):
    """Whether the result and its gradients in the inputs and weights are finite."""
    x = tf.cast(inputs, layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        pooled = layer(x, mask=mask)
        loss = tf.reduce_sum(tf.cast(pooled, tf.float32))
    tensors = [pooled, *tape.gradient(loss, [x, *layer.trainable_variables])]
    return all(np.all(np.isfinite(tf.cast(tensor, tf.float32))) for tensor in tensors)
