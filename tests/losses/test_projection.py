import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses import ContrastiveLoss, Projection, Proxies
from tests.losses.proxy_batches import tf_variable


def make(weight=0.3, multiplier=1.0):
    embedder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    proxies = Proxies(2, 3, loss=ContrastiveLoss(), lr_multiplier=multiplier)
    return embedder, proxies, Projection(embedder, proxies, weight)


def move(embedder, rng):
    """Change every weight; how far each trainable one went."""
    before = [variable.numpy() for variable in embedder.trainable_weights]
    embedder.set_weights([value + rng.normal(size=value.shape) for value in embedder.get_weights()])
    return [variable.numpy() - old for variable, old in zip(embedder.trainable_weights, before, strict=True)]


def test_proximal_term_and_its_gradient(rng):
    embedder, _, projection = make()
    assert float(projection.proximal_term()) == 0
    offsets = move(embedder, rng)
    variables = [tf_variable(variable) for variable in embedder.trainable_weights]
    with tf.GradientTape() as tape:
        term = projection.proximal_term()
    np.testing.assert_allclose(term, 0.15 * sum((offset ** 2).sum() for offset in offsets), rtol=1e-5)
    for gradient, offset in zip(tape.gradient(term, variables), offsets, strict=True):
        np.testing.assert_allclose(gradient, 0.3 * offset, rtol=1e-5)


def test_anchors_move_and_tell_how_far(rng):
    embedder, _, projection = make()
    offsets = move(embedder, rng)
    assert projection.move_anchors() == pytest.approx(sum((o ** 2).sum() for o in offsets) ** 0.5, rel=1e-5)
    assert float(projection.proximal_term()) == 0 and projection.move_anchors() == 0


def test_the_best_comes_back_with_statistics_and_proxies(rng):
    embedder, proxies, projection = make(multiplier=10.0)
    move(embedder, rng)
    best, best_proxies = embedder.get_weights(), proxies.values.numpy()
    projection.remember_best()
    move(embedder, rng)
    proxies.assign(np.ones((2, 3)))
    projection.restore_best()
    for value, expected in zip(embedder.get_weights(), best, strict=True):
        np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(proxies.values, best_proxies)


def test_its_state_is_all_weights_of_its_own():
    embedder, _, projection = make()
    assert not projection.trainable_weights
    # θ*, the best weights and proxies, and four counters; not the embedder's and the proxies' once more.
    assert len(projection.weights) == len(embedder.trainable_weights) + len(embedder.weights) + 1 + 4


def test_a_negative_weight():
    with pytest.raises(ValueError, match="weight must be .*; got -1"):
        make(weight=-1)
