import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.cbam import CBAMPooling
from gsp_tf.pooling.gap import GAPPooling
from tests.reference.cbam import cbam_sample

WEIGHTS = ("hidden_kernel", "hidden_bias", "channel_kernel", "channel_bias", "place_kernel", "place_bias")


def layer_with(rng, kernel_size=3, **weights):
    layer = CBAMPooling(reduction=2, kernel_size=kernel_size, dtype="float64")
    layer.build((None, None, None, 6))
    values = {name: rng.normal(size=tuple(getattr(layer, name).shape)) for name in WEIGHTS}
    values.update(weights)
    for name, value in values.items():
        getattr(layer, name).assign(value)
    return layer, values


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_equals_loops(kernel_size, masked, rng):
    maps = rng.normal(size=(3, 4, 5, 6))
    mask = (rng.uniform(size=(3, 4, 5)) < 0.6) & (np.arange(3) < 2)[:, np.newaxis, np.newaxis] if masked else None
    layer, weights = layer_with(rng, kernel_size)
    pooled = layer(maps, mask=mask)
    for b in range(3):
        expected = cbam_sample(maps[b], **weights, valid=None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-12)


def test_a_mask_may_be_flat(rng):
    maps, mask = rng.normal(size=(2, 4, 5, 6)), rng.uniform(size=(2, 4, 5)) < 0.6
    layer, _ = layer_with(rng)
    np.testing.assert_array_equal(layer(maps, mask=mask.reshape(2, 20)), layer(maps, mask=mask))


def test_open_gates_are_average_pooling(rng):
    maps = rng.normal(size=(2, 4, 5, 6))
    zeros = {"channel_kernel": np.zeros((3, 6)), "place_kernel": np.zeros((3, 3, 2, 1))}
    layer, _ = layer_with(rng, channel_bias=np.full(6, 50.0), place_bias=[50.0], **zeros)
    np.testing.assert_allclose(layer(maps), GAPPooling(dtype="float64")(maps), rtol=0, atol=1e-14)


def test_a_kernel_of_one_place_does_not_see_their_order(rng):
    maps, order = rng.normal(size=(2, 4, 5, 6)), rng.permutation(20)
    permuted = maps.reshape(2, 20, 6)[:, order].reshape(2, 4, 5, 6)
    for kernel_size, sees in [(1, False), (3, True)]:
        layer, _ = layer_with(rng, kernel_size)
        assert (np.abs(layer(permuted) - layer(maps)).max() > 1e-3) == sees


@pytest.mark.parametrize(("dim", "hidden"), [(64, 4), (15, 1)])
def test_the_hidden_layer_has_a_unit_at_least(dim, hidden):
    layer = CBAMPooling()
    layer.build((None, 7, 7, dim))
    assert tuple(layer.hidden_kernel.shape) == (dim, hidden)


class TestErrors:
    @pytest.mark.parametrize("shape", [(2, 49, 6), (2, 3, 3, 3, 6)])
    def test_tokens_and_volumes(self, shape):
        message = r"inputs must have shape \(B, H, W, d\), .* for its convolution over places: tokens and volumes have"
        with pytest.raises(ValueError, match=message):
            CBAMPooling()(tf.zeros(shape))
        layer = CBAMPooling()
        layer.build((None, None, None, 6))
        with pytest.raises(ValueError, match=message):
            layer.call(tf.zeros(shape))

    @pytest.mark.parametrize("name", ["reduction", "kernel_size"])
    def test_counts(self, name):
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1; got 0"):
            CBAMPooling(**{name: 0})

    def test_an_even_kernel(self):
        with pytest.raises(ValueError, match="kernel_size must be odd, so that the kernel has a centre; got 4"):
            CBAMPooling(kernel_size=4)

    def test_feature_dimension(self):
        with pytest.raises(ValueError, match="the feature dimension of inputs must be known; got shape"):
            CBAMPooling().build((None, 7, 7, None))
