"""What holds for every pooling without weights; the formulas are tested in each one's own file."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from gsp_tf.pooling.pooling_layer import PoolingLayer

POOLINGS = [gsp_tf.GAPPooling, gsp_tf.GMPPooling, gsp_tf.GAPGMPPooling]


@pytest.mark.parametrize("pooling", POOLINGS)
class TestEveryPooling:
    def test_all_layouts_pool_the_same_features(self, pooling, rng):
        tokens = rng.normal(size=(2, 12, 4)).astype(np.float32)
        expected = pooling()(tokens)
        assert expected.shape == (2, 4)
        for spatial in [(12,), (3, 4), (2, 3, 2)]:
            last = tokens.reshape(2, *spatial, 4)
            np.testing.assert_allclose(pooling()(last), expected, rtol=1e-6)
            first = pooling(data_format="channels_first")(np.moveaxis(last, -1, 1))
            np.testing.assert_allclose(first, expected, rtol=1e-6)

    def test_keras_masks(self, pooling, rng):
        tokens = rng.normal(size=(3, 9, 4)).astype(np.float32)
        tokens[1, 5:], tokens[2] = 0, 0
        inputs = keras.Input((None, 4))
        pooled = keras.Model(inputs, pooling()(keras.layers.Masking()(inputs)))(tokens).numpy()
        np.testing.assert_allclose(pooled[0], pooling()(tokens[:1])[0], rtol=1e-6)
        np.testing.assert_allclose(pooled[1], pooling()(tokens[1:2, :5])[0], rtol=1e-6)
        assert not pooled[2].any()

    @pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
    def test_degenerate_inputs_give_finite_results_and_gradients(self, pooling, dtype, rng):
        layer = pooling(dtype=dtype)
        big = 6e4 if dtype == "mixed_float16" else 1e6
        mask = np.arange(6) < np.array([[6], [0]])
        for features in (np.zeros((2, 6, 4)), np.ones((2, 6, 4)), big * rng.uniform(-0.5, 0.5, (2, 6, 4))):
            inputs = tf.cast(features, layer.compute_dtype)
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                pooled = layer(inputs, mask=mask)
            assert pooled.dtype == inputs.dtype
            for tensor in (pooled, tape.gradient(pooled, inputs)):
                assert np.all(np.isfinite(tf.cast(tensor, tf.float32)))
            assert not np.any(tf.cast(pooled[1], tf.float32))
        assert pooling()(tf.zeros((0, 6, 4))).shape == (0, 4)

    def test_a_large_map_does_not_overflow_float16(self, pooling):
        pooled = pooling(dtype="mixed_float16")(tf.fill((1, 64, 64, 1), tf.constant(30.0, tf.float16)))
        np.testing.assert_allclose(pooled, [[60 if pooling is gsp_tf.GAPGMPPooling else 30]])

    def test_compiled_and_of_unknown_size(self, pooling, rng):
        layer, images = pooling(), tf.constant(rng.normal(size=(2, 5, 3, 4)), tf.float32)
        compiled = tf.function(
            layer, jit_compile=True, input_signature=[tf.TensorSpec((None, None, None, 4))]
        )(images)
        np.testing.assert_allclose(compiled, layer(images), rtol=1e-6)
        assert tuple(layer(keras.Input((None, None, 4))).shape) == (None, 4)

    def test_config_round_trip(self, pooling):
        layer = pooling(data_format="channels_first", name="pool", dtype="float64")
        assert pooling.from_config(layer.get_config()).get_config() == layer.get_config()

    def test_errors(self, pooling):
        with pytest.raises(ValueError, match="data_format must be one of 'channels_last', 'channels_first'; got 1"):
            pooling(data_format=1)
        with pytest.raises(ValueError, match=r"inputs must have shape \(B, n, d\), .* of rank 2"):
            pooling()(tf.zeros((2, 4)))
        with pytest.raises(ValueError, match="inputs must have at least one local feature"):
            pooling()(tf.zeros((2, 0, 3, 4)))
        with pytest.raises(TypeError, match="inputs must hold floating-point numbers; got dtype int64"):
            pooling()(tf.zeros((2, 3, 4), tf.int64))


def test_a_subclass_must_say_how_it_pools():
    with pytest.raises(NotImplementedError, match="PoolingLayer must define pool"):
        PoolingLayer()(tf.zeros((2, 3, 4)))
