import math

import numpy as np
import pytest

from gsp_tf.pooling.gem import GeMPooling
from gsp_tf.pooling.solar import SOLARPooling
from tests.pooling.random_weights import array, finite_everywhere, randomized
from tests.reference.solar import generalized_mean_sample, solar_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)
PARTS = {"query": ("kernel", "bias"), "key": ("kernel",), "value": ("kernel", "bias"), "output": ("kernel", "bias")}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("attention_dim", [None, 1, 5])
def test_equals_loops(attention_dim, masked, rng):
    features, mask = rng.normal(size=(3, 8, 4)), MASK if masked else None
    layer = randomized(SOLARPooling(attention_dim, dtype="float64"), (None, 8, 4), rng)
    maps = {name: [array(getattr(layer, f"{name}_{part}")) for part in parts] for name, parts in PARTS.items()}
    assert maps["query"][0].shape == (4, attention_dim or 2)
    pooled = layer(features, mask=mask)
    for b in range(3):
        expected = solar_sample(features[b], maps, math.log1p(math.exp(float(array(layer.raw_p)))) + 0.01, None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-9)


class TestLimits:
    @pytest.mark.parametrize("p", [1.0, 2.7, 3.0])
    def test_begins_as_the_generalised_mean(self, p, rng):
        features = rng.normal(size=(3, 8, 4))
        layer = SOLARPooling(p=p, dtype="float64")
        gem = GeMPooling(p, dtype="float64")
        np.testing.assert_allclose(layer(features, mask=MASK), gem(features, mask=MASK), rtol=0, atol=1e-14)
        np.testing.assert_allclose(layer(features)[0], generalized_mean_sample(features[0], p), rtol=0, atol=1e-9)

    def test_one_feature_attends_to_itself(self, rng):
        feature = rng.uniform(1, 2, size=(1, 1, 4))
        layer = randomized(SOLARPooling(dtype="float64"), (None, 1, 4), rng, scale=0.1)
        value = feature[0] @ array(layer.value_kernel) + array(layer.value_bias)
        expected = feature[0] + value @ array(layer.output_kernel) + array(layer.output_bias)
        np.testing.assert_allclose(layer(feature), expected, rtol=1e-12)

    def test_the_order_of_positions_makes_no_difference(self, rng):
        features = rng.normal(size=(2, 9, 4))
        layer = randomized(SOLARPooling(dtype="float64"), (None, 9, 4), rng)
        np.testing.assert_allclose(layer(features[:, rng.permutation(9)]), layer(features), rtol=0, atol=1e-12)


def test_degenerate_features_give_finite_gradients(rng):
    features = rng.normal(size=(2, 6, 4))
    layer = randomized(SOLARPooling(), (None, 6, 4), rng)
    for inputs in (1e4 * features, np.zeros((2, 6, 4)), np.ones((2, 6, 4)), np.repeat(features[:, :1], 6, axis=1)):
        assert finite_everywhere(layer, inputs)
        assert finite_everywhere(layer, inputs, np.arange(6) < np.array([[4], [0]]))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"attention_dim": 0}, "attention_dim must be a whole number of at least 1; got 0"),
        ({"p": 0}, r"p must be a number in \(0.01, inf\); got 0"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SOLARPooling(**kwargs)
