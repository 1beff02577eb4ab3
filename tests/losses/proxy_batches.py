"""What every proxy loss is tried on: five classes of embeddings in four dimensions, and the judge of all of them."""

import numpy as np
import tensorflow as tf

from tests.finite_differences import numeric_gradient, one_by_one, relative_error

CLASSES, DIM = 5, 4
LABELS = {
    "uneven": [0, 0, 0, 1, 2, 2],
    "one_class": [3, 3, 3],
    "distinct": [4, 2, 0, 1, 3],
    "duplicates": [1, 1, 0, 0],
    "two_samples": [0, 1],
    "two_of_one_class": [2, 2],
}


def batch(name, seed=0):
    """Labels (B,) and float64 embeddings (B, DIM) of one of the cases."""
    labels = np.array(LABELS[name])
    embeddings = np.random.default_rng(seed).normal(size=(len(labels), DIM))
    if name == "duplicates":
        embeddings[1:3] = embeddings[0]
    return labels, embeddings


def assert_equals_reference(loss, reference, labels, embeddings):
    """Value to 1e-9 and both gradients to 1e-6, of a float64 layer and a loop reference of (labels, x, proxies)."""
    proxies = loss.values.numpy()
    x = tf.constant(embeddings)
    weights = loss.trainable_weights[0]
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(labels, x)
    by_embeddings, by_weights = tape.gradient(value, [x, tf_variable(weights)])
    assert value.dtype == tf.float64 and value.shape == ()
    np.testing.assert_allclose(value, reference(labels, embeddings, proxies), rtol=1e-9, atol=1e-12)
    expected = numeric_gradient(one_by_one(lambda u: reference(labels, u, proxies)), embeddings, step=2e-6)
    assert relative_error(by_embeddings, expected) < 1e-6
    expected = numeric_gradient(one_by_one(lambda p: reference(labels, embeddings, p)), proxies, step=2e-6)
    assert relative_error(by_weights / loss.lr_multiplier, expected) < 1e-6


def tf_variable(variable):
    """TensorFlow's variable inside a weight; on Keras 2.15 that is the weight."""
    return variable if callable(variable.value) else variable.value
