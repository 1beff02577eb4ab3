import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.crow import CroWPooling
from tests.reference.crow import crow_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)


def sparse(rng, shape):
    """Activations as from a ReLU: zeros, inactive places and a channel that is nowhere active."""
    features = np.maximum(rng.normal(size=shape), 0)
    features[:, 2] = 0
    features[..., 1] = 0
    return features


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_equals_loops(linear, masked, rng):
    features = rng.normal(size=(3, 8, 4)) if linear else sparse(rng, (3, 8, 4))
    mask = MASK if masked else None
    pooled = CroWPooling(dtype="float64")(features, mask=mask)
    for b in range(3):
        expected = crow_sample(features[b], None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-12)


def test_rare_channels_weigh_more(rng):
    features = np.zeros((1, 9, 3))
    features[0, :, 0] = 1
    features[0, 4, 1] = 1
    features[0, :3, 2] = 1
    total = features[0].sum(axis=0)
    pooled = CroWPooling(dtype="float64")(features)[0].numpy()
    weights = pooled / total
    assert weights[1] > weights[2] > weights[0] > 0


def test_places_without_activation_have_no_weight():
    features = np.array([[[1.0, 2.0], [-5.0, -1.0], [3.0, 0.0]]])
    layer = CroWPooling(dtype="float64")
    other = features.copy()
    other[0, 1] = [-7.0, -70.0]
    np.testing.assert_array_equal(layer(features), layer(other))


def test_the_gradient_at_inactive_places_is_finite(rng):
    features = tf.constant(sparse(rng, (2, 8, 4)))
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = CroWPooling(dtype="float64")(features)
    gradient = tape.gradient(pooled, features).numpy()
    assert np.all(np.isfinite(gradient)) and not gradient[:, 2].any() and gradient[:, 3].any()
    # Right beside zero the root is steep: its slope is cut off before it leaves what a step can take.
    steps = tf.constant([[[1.0, 1.0], [size, -1.0]] for size in 10.0 ** -np.arange(1, 40)], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(steps)
        pooled = CroWPooling()(steps)
    assert np.abs(tape.gradient(pooled, steps)).max() < 1e4


def test_the_scale_passes_through(rng):
    features, layer = sparse(rng, (2, 8, 4)), CroWPooling(dtype="float64")
    np.testing.assert_allclose(layer(1e4 * features), 1e4 * layer(features), rtol=1e-12)


def test_one_channel_leaves_nothing():
    assert not CroWPooling()(tf.ones((2, 3, 3, 1))).numpy().any()
