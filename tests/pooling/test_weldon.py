import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.weldon import WELDONPooling
from tests.reference.weldon import weldon_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)


def gradient_of(layer, inputs, mask=None):
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        pooled = layer(inputs, mask=mask)
    return tape.gradient(pooled, inputs).numpy()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("k_max", "k_min"), [(1, 1), (3, 2), (2, None), (100, 5), (0.3, 0.01), (1.0, 2)])
def test_equals_loops(k_max, k_min, masked, rng):
    features, mask = np.round(rng.normal(size=(3, 8, 4)), 1), MASK if masked else None
    pooled = WELDONPooling(k_max, k_min, dtype="float64")(features, mask=mask)
    for b in range(3):
        expected = weldon_sample(features[b], k_max, k_min or k_max, None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-12)


class TestLimits:
    @pytest.mark.parametrize("k", [49, 1000, 1.0])
    def test_all_features_are_average_pooling(self, k, rng):
        features = rng.normal(size=(3, 7, 7, 4))
        mask = rng.uniform(size=(3, 7, 7)) < 0.7
        for valid in (None, mask):
            pooled = WELDONPooling(k, dtype="float64")(features, mask=valid)
            expected = GAPPooling(dtype="float64")(features, mask=valid)
            np.testing.assert_allclose(pooled, expected, rtol=0, atol=1e-14)
        gradient = gradient_of(WELDONPooling(k, dtype="float64"), features)
        np.testing.assert_array_equal(gradient, np.full((3, 7, 7, 4), 1 / 49))

    def test_one_is_the_middle_of_maximum_and_minimum(self, rng):
        features = rng.normal(size=(3, 9, 4))
        pooled = WELDONPooling(1, dtype="float64")(features)
        np.testing.assert_allclose(pooled, (features.max(axis=1) + features.min(axis=1)) / 2, rtol=1e-15)


class TestTies:
    def test_share_the_gradient_evenly(self):
        features = np.array([[[5.0], [3.0], [1.0], [3.0], [3.0], [0.0]]])
        # Of three equal values, one and a half more of the two highest: a third of 1/2 each.
        gradient = gradient_of(WELDONPooling(2, 1, dtype="float64"), features)
        np.testing.assert_allclose(gradient[0, :, 0], [1 / 4, 1 / 12, 0, 1 / 12, 1 / 12, 1 / 2], rtol=1e-14)

    def test_the_order_of_positions_makes_no_difference(self, rng):
        features = rng.integers(0, 3, size=(2, 9, 4)).astype(np.float64)
        layer, order = WELDONPooling(4, 2, dtype="float64"), rng.permutation(9)
        np.testing.assert_allclose(layer(features[:, order]), layer(features), rtol=0, atol=1e-15)
        gradient = gradient_of(layer, features)
        np.testing.assert_array_equal(gradient_of(layer, features[:, order]), gradient[:, order])

    def test_a_constant_map_is_averaged(self):
        gradient = gradient_of(WELDONPooling(2, dtype="float64"), np.ones((1, 3, 3, 2)))
        np.testing.assert_allclose(gradient, np.full((1, 3, 3, 2), 1 / 9), rtol=1e-14)


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_may_hold_anything(padding, rng):
    tokens, mask = rng.normal(size=(3, 9, 4)), np.arange(9) < np.array([[9], [5], [0]])
    layer = WELDONPooling(3, 0.5, dtype="float64")
    inputs = np.where(mask[..., np.newaxis], tokens, padding)
    np.testing.assert_array_equal(layer(inputs, mask=mask), layer(tokens, mask=mask))
    gradient = gradient_of(layer, inputs, mask)
    assert np.all(np.isfinite(gradient)) and not gradient[~mask].any()


def test_compiled_takes_maps_of_all_sizes(rng):
    for k in (3, 0.5):
        layer = WELDONPooling(k)
        compiled = tf.function(layer, jit_compile=True, input_signature=[tf.TensorSpec((None, None, None, 4))])
        for size in [(1, 1), (3, 5), (8, 2)]:
            images = tf.constant(rng.normal(size=(2, *size, 4)), tf.float32)
            np.testing.assert_allclose(compiled(images), layer(images), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["k_max", "k_min"])
@pytest.mark.parametrize("value", [0, -1, True, "3"])
def test_errors(name, value):
    message = rf"{name} must be a whole number of at least 1, or a float in \(0, 1\] for a fraction; got {value!r}"
    with pytest.raises(ValueError, match=message):
        WELDONPooling(**{name: value})


@pytest.mark.parametrize("value", [0.0, 1.5, -0.5, float("nan")])
def test_a_fraction_out_of_range(value):
    with pytest.raises(ValueError, match=r"k_max must be a number in \(0, 1\]; got"):
        WELDONPooling(value)
