import numpy as np
import pytest

from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.gsop import GSoPPooling
from tests.reference.gsop import gsop_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)
WEIGHTS = ("reduction", "row_kernel", "row_bias", "channel_kernel", "channel_bias")


def layer_with(rng, **weights):
    layer = GSoPPooling(reduced_dim=3, expansion=2, dtype="float64")
    layer.build((None, None, 4))
    values = {name: 0.5 * rng.normal(size=getattr(layer, name).shape) for name in WEIGHTS}
    values.update(weights)
    for name, value in values.items():
        getattr(layer, name).assign(value)
    return layer, values


@pytest.mark.parametrize("masked", [False, True])
def test_equals_loops(masked, rng):
    features, mask = rng.normal(size=(3, 8, 4)) + 0.5, MASK if masked else None
    layer, weights = layer_with(rng)
    pooled = layer(features, mask=mask)
    for b in range(3):
        expected = gsop_sample(features[b], **weights, valid=None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-12)


def test_open_gates_are_average_pooling(rng):
    features = rng.normal(size=(3, 8, 4))
    layer, _ = layer_with(rng, channel_kernel=np.zeros((6, 4)), channel_bias=np.full(4, 50.0))
    np.testing.assert_allclose(layer(features), GAPPooling(dtype="float64")(features), rtol=0, atol=1e-14)


def test_the_gates_see_the_covariance_and_not_the_mean(rng):
    features = rng.normal(size=(3, 8, 4))
    layer, _ = layer_with(rng)
    average = GAPPooling(dtype="float64")
    gates = layer(features) / average(features)
    moved = features + [1.0, -2.0, 3.0, 0.5]
    np.testing.assert_allclose(layer(moved) / average(moved), gates, rtol=1e-9)
    assert np.abs(layer(2 * features) / average(2 * features) - gates).max() > 1e-2


def test_the_defaults_are_the_papers():
    layer = GSoPPooling()
    layer.build((None, None, 256))
    shapes = [tuple(variable.shape) for variable in layer.trainable_variables]
    assert shapes == [(256, 128), (128, 128, 4), (128, 4), (512, 256), (256,)]


@pytest.mark.parametrize("name", ["reduced_dim", "expansion"])
def test_errors(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1; got 0"):
        GSoPPooling(**{name: 0})
    with pytest.raises(ValueError, match="the feature dimension of inputs must be known; got shape"):
        GSoPPooling().build((None, 7, 7, None))
