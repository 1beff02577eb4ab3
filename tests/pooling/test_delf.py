import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.delf import DeLFPooling, log_softplus
from gsp_tf.pooling.gap import GAPPooling
from tests.reference.delf import delf_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)
WEIGHTS = ("hidden_kernel", "hidden_bias", "score_kernel", "score_bias")


def layer_with(rng, dim=4, hidden_dim=5, dtype="float64", **weights):
    layer = DeLFPooling(hidden_dim, dtype=dtype)
    layer.build((None, None, dim))
    values = {name: rng.normal(size=getattr(layer, name).shape) for name in WEIGHTS}
    values.update(weights)
    for name, value in values.items():
        getattr(layer, name).assign(value)
    return layer, values


@pytest.mark.parametrize("masked", [False, True])
def test_equals_loops(masked, rng):
    features, mask = rng.normal(size=(3, 8, 4)), MASK if masked else None
    layer, weights = layer_with(rng)
    pooled = layer(features, mask=mask)
    for b in range(3):
        expected = delf_sample(features[b], **weights, valid=None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-12)


def test_equal_scores_are_average_pooling(rng):
    features = rng.normal(size=(3, 8, 4))
    layer, _ = layer_with(rng, score_kernel=np.zeros((5, 1)))
    np.testing.assert_allclose(layer(features), GAPPooling(dtype="float64")(features), rtol=0, atol=1e-14)


@pytest.mark.parametrize("bias", [-1e8, -1e3, -200.0, 1e8])
@pytest.mark.parametrize("masked", [False, True])
def test_scores_that_underflow_still_average(masked, bias, rng):
    features = tf.constant(rng.normal(size=(3, 8, 4)), tf.float32)
    layer, _ = layer_with(rng, dtype="float32", score_kernel=np.zeros((5, 1)), score_bias=[bias])
    mask = MASK if masked else None
    np.testing.assert_allclose(layer(features, mask=mask), GAPPooling()(features, mask=mask), rtol=0, atol=1e-6)


def test_masked_places_with_far_larger_scores_leave_the_gradient_finite(rng):
    # Padding counts as a feature of zeros, which has the largest score here.
    layer, _ = layer_with(rng, hidden_bias=np.zeros(5), score_kernel=-np.ones((5, 1)), dtype="float32")
    features = tf.constant(1e4 * rng.normal(size=(3, 8, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = layer(features, mask=MASK)
    for tensor in (pooled, *tape.gradient(pooled, [features, *layer.trainable_variables])):
        assert np.all(np.isfinite(tensor))
    assert np.abs(pooled[1]).max() > 1


def test_log_softplus():
    x = np.array([-1e4, -800.0, -40.5, -39.5, -1.0, 0.0, 50.0, 1e4])
    expected = np.where(x < -30, x, np.log(np.logaddexp(0, np.maximum(x, -30))))
    np.testing.assert_allclose(log_softplus(tf.constant(x)), expected, rtol=1e-12)
    inputs = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values = log_softplus(inputs)
    gradient = tape.gradient(values, inputs)
    np.testing.assert_allclose(gradient[:4], np.ones(4), rtol=1e-5)
    assert np.all(np.isfinite(values)) and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("size", [0, 2.5, "8", None])
def test_errors(size):
    with pytest.raises(ValueError, match="hidden_dim must be a whole number of at least 1; got "):
        DeLFPooling(size)
    with pytest.raises(ValueError, match="the feature dimension of inputs must be known; got shape"):
        DeLFPooling().build((None, 7, 7, None))
