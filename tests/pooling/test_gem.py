import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.exponent import positive_exponent
from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.gem import GeMPooling
from gsp_tf.pooling.generalized_mean import generalized_mean
from gsp_tf.pooling.gmp import GMPPooling
from tests.reference.gem import gem_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)


def exponent_of(layer):
    return positive_exponent(layer.raw_p, tf.float64).numpy()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("p", [0.02, 0.5, 1.0, 3.0, 20.0])
def test_equals_loops(p, masked, rng):
    features, mask = rng.normal(size=(3, 8, 4)), MASK if masked else None
    pooled = GeMPooling(p, dtype="float64")(features, mask=mask)
    for b in range(3):
        expected = gem_sample(features[b], p, None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=1e-12)


def test_every_channel_has_its_own_exponent(rng):
    features, exponents = rng.uniform(size=(2, 8, 3)), [0.5, 2.0, 7.0]
    layer = GeMPooling(per_channel=True, dtype="float64")
    layer.build(features.shape)
    assert exponent_of(layer).shape == (3,)
    layer.raw_p.assign(np.log(np.expm1(np.array(exponents) - 0.01)))
    for b in range(2):
        np.testing.assert_allclose(layer(features)[b], gem_sample(features[b], exponents), rtol=1e-12)


class TestLimits:
    @pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-14), ("float32", 2e-6)])
    def test_an_exponent_of_one_is_average_pooling(self, dtype, limit, rng):
        features = tf.constant(rng.uniform(0.01, 5, size=(3, 7, 7, 4)), dtype)
        pooled = GeMPooling(p=1.0, dtype=dtype)(features)
        np.testing.assert_allclose(pooled, GAPPooling(dtype=dtype)(features), rtol=limit)

    def test_a_large_exponent_tends_to_max_pooling(self, rng):
        features = tf.nn.relu(rng.normal(size=(3, 7, 7, 4)))
        largest = GMPPooling(dtype="float64")(features).numpy()
        errors = []
        for p in (1e2, 1e4, 1e6):
            pooled = GeMPooling(p=p, dtype="float64")(features).numpy()
            assert np.all(pooled <= largest)
            # A mean of 49 powers is at least a 49th of the largest one.
            assert np.all(pooled >= largest * 49 ** (-1 / p) * (1 - 1e-12))
            errors.append(np.abs(pooled - largest).max())
        assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0

    def test_negative_features_count_as_a_millionth_without_gradient(self):
        features = tf.constant([[[-1.0], [2.0]], [[-3.0], [-4.0]]], tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = GeMPooling(p=1.0, dtype="float64")(features)
        np.testing.assert_allclose(pooled, [[(2 + 1e-6) / 2], [1e-6]], rtol=1e-12)
        np.testing.assert_allclose(tape.gradient(pooled, features)[..., 0], [[0, 0.5], [0, 0]], atol=1e-12)


@pytest.mark.parametrize("p", [0.02, 3.0, 1e3, 1e6])
@pytest.mark.parametrize("size", [1e-30, 1e4, 1e30])
def test_neither_huge_features_nor_large_exponents_overflow(p, size, rng):
    features = tf.constant(size * rng.uniform(0.1, 1, size=(2, 9, 3)), tf.float32)
    layer = GeMPooling(p)
    layer.build(features.shape)
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = layer(features)
    for tensor in (pooled, *tape.gradient(pooled, [features, *layer.trainable_variables])):
        assert np.all(np.isfinite(tensor))
    for b in range(2):
        # The features are scaled to be within reach of the loops' powers, at the same ratios.
        scaled = np.maximum(features[b].numpy().astype(np.float64), 1e-6) / max(size, 1e-6)
        if p <= 1e3:
            expected = np.mean(scaled**p, axis=0) ** (1 / p) * max(size, 1e-6)
            np.testing.assert_allclose(pooled[b], expected, rtol=2e-5)


class TestExponent:
    @pytest.mark.parametrize("p", [0.011, 1.0, 3.0, 500.0])
    def test_starts_where_asked(self, p):
        layer = GeMPooling(p, dtype="float64")
        layer.build((None, None, 2))
        np.testing.assert_allclose(exponent_of(layer), p, rtol=1e-13)

    @pytest.mark.parametrize("raw", [-1e9, -100.0, 0.0, 100.0])
    def test_stays_positive_whatever_the_weight(self, raw, rng):
        features = tf.constant(rng.uniform(0.5, 1, size=(1, 9, 2)), tf.float32)
        layer = GeMPooling()
        layer(features)
        layer.raw_p.assign(raw)
        assert exponent_of(layer) >= 0.01
        assert np.all((layer(features) > 0.5) & (layer(features) < 1))

    def test_training_finds_the_exponent_of_another_layer(self, rng):
        features = tf.constant(rng.uniform(size=(8, 9, 3)))
        target, layer = GeMPooling(p=6.0, dtype="float64")(features), GeMPooling(dtype="float64")
        layer(features)
        for _ in range(150):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(layer(features) - target))
            (gradient,) = tape.gradient(loss, layer.trainable_variables)
            layer.raw_p.assign_sub(2 * gradient)
        np.testing.assert_allclose(exponent_of(layer), 6, atol=0.1)

    def test_is_fixed_where_it_is_not_trained(self, rng):
        layer = GeMPooling(p=2.0, trainable=False, dtype="float64")
        features = rng.uniform(size=(1, 5, 2))
        np.testing.assert_allclose(layer(features)[0], gem_sample(features[0], 2.0), rtol=1e-12)
        assert not layer.trainable_variables and len(layer.non_trainable_variables) == 1
        assert GeMPooling.from_config(layer.get_config()).trainable is False

    @pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
    def test_is_not_rounded_to_half(self, policy):
        layer = GeMPooling(p=3.001, dtype=policy)
        layer.build((None, None, 2))
        np.testing.assert_allclose(exponent_of(layer), 3.001, rtol=1e-6)


def test_the_function_takes_an_exponent_per_channel(rng):
    features = rng.normal(size=(3, 8, 2))
    pooled = generalized_mean(tf.constant(features), tf.constant([2.0, 5.0], tf.float64), tf.constant(MASK))
    for b in range(3):
        np.testing.assert_allclose(pooled[b], gem_sample(features[b], [2.0, 5.0], MASK[b]), rtol=1e-12)


@pytest.mark.parametrize("p", [0, 0.01, -1, "3", None, float("inf"), True])
def test_an_exponent_out_of_range(p):
    with pytest.raises(ValueError, match=r"p must be a number in \(0.01, inf\); got "):
        GeMPooling(p)


def test_per_channel_is_a_choice():
    with pytest.raises(ValueError, match="per_channel must be one of False, True; got 'all'"):
        GeMPooling(per_channel="all")
