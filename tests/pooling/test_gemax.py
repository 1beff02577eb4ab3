import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.gemax import GeMaxPooling
from tests.reference.gemax import gemax_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dim", [3, 8, 12])
@pytest.mark.parametrize("ridge", [1e-3, 1.0, 100.0])
def test_equals_loops(ridge, dim, masked, rng):
    features, mask = rng.normal(size=(3, 8, dim)), MASK if masked else None
    pooled = GeMaxPooling(ridge, dtype="float64")(features, mask=mask)
    for b in range(3):
        expected = gemax_sample(features[b], ridge, None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dim", [3, 12])
@pytest.mark.parametrize("compiled", [False, True])
def test_an_unknown_number_of_features_takes_the_same_path(compiled, dim, rng):
    layer, features = GeMaxPooling(0.1, dtype="float64"), tf.constant(rng.normal(size=(2, 8, dim)))

    def value_and_gradient(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = layer(features)
            loss = tf.reduce_sum(pooled**3)
        return pooled, tape.gradient(loss, features)

    unknown = tf.function(
        value_and_gradient, input_signature=[tf.TensorSpec((None, None, dim), tf.float64)], jit_compile=compiled
    )
    for actual, expected in zip(unknown(features), value_and_gradient(features), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-11)


class TestWhatItIsFor:
    def test_similarities_to_all_features_are_equal(self, rng):
        features = rng.normal(size=(2, 5, 9)) * rng.uniform(0.5, 2, size=(2, 5, 1))
        pooled = GeMaxPooling(1e-10, dtype="float64")(features).numpy()
        energy = np.mean(np.sum(features**2, axis=2), axis=1)
        np.testing.assert_allclose(np.einsum("bjk,bk->bj", features, pooled), np.repeat(energy[:, np.newaxis], 5, 1), rtol=1e-6)

    def test_frequent_features_do_not_outweigh_rare_ones(self):
        features = np.repeat(np.eye(2)[np.newaxis], [50, 1], axis=1)
        frequent, rare = GeMaxPooling(1e-3, dtype="float64")(features)[0].numpy()
        assert 0.99 < rare / frequent < 1
        frequent, rare = GAPPooling(dtype="float64")(features)[0].numpy()
        assert rare / frequent < 0.03

    def test_a_large_ridge_tends_to_the_sum(self, rng):
        features = rng.normal(size=(2, 5, 9))
        pooled = GeMaxPooling(1e9, dtype="float64")(features)
        np.testing.assert_allclose(1e9 * pooled, features.sum(axis=1), rtol=1e-6, atol=1e-7)

    def test_a_constant_map(self):
        feature = np.array([1.0, -2.0, 0.5])
        pooled = GeMaxPooling(2.0, dtype="float64")(np.tile(feature, (1, 6, 1)))
        np.testing.assert_allclose(pooled[0], 6 / 8 * feature, rtol=1e-14)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e4, 1e30])
@pytest.mark.parametrize("dim", [3, 12])
def test_follows_the_scale_of_the_features(dim, factor, rng):
    features, layer = tf.constant(rng.normal(size=(2, 8, dim)), tf.float32), GeMaxPooling()

    def value_and_gradient(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            pooled = layer(inputs)
        return pooled, tape.gradient(pooled, inputs)

    pooled, gradient = value_and_gradient(features)
    scaled, scaled_gradient = value_and_gradient(factor * features)
    np.testing.assert_allclose(scaled / factor, pooled, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(scaled_gradient, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 8), (8, 64), (3136, 32)])
@pytest.mark.parametrize("kind", ["equal", "pairs", "one direction"])
def test_a_tiny_ridge_does_not_break_the_factorisation(kind, shape, rng):
    features = rng.normal(size=(2, *shape)).astype(np.float32)
    if kind == "equal":
        features[:] = features[:, :1]
    elif kind == "pairs":
        features[:, 1::2] = features[:, ::2]
    else:
        features = features[:, :, :1] * features[:, :1]
    inputs = tf.constant(1e4 * features)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        pooled = GeMaxPooling(1e-30)(inputs)
    assert np.all(np.isfinite(pooled)) and np.all(np.isfinite(tape.gradient(pooled, inputs)))


@pytest.mark.parametrize("ridge", [0, -1, "1", None, float("nan")])
def test_errors(ridge):
    with pytest.raises(ValueError, match=r"ridge must be a number in \(0, inf\); got "):
        GeMaxPooling(ridge)
