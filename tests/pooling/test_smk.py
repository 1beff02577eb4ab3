import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.smk import SMKPooling
from tests.pooling.random_weights import array, finite_everywhere, randomized
from tests.reference.smk import smk_sample


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("smooth", [False, True])
def test_equals_loops(smooth, masked, data_format, rng):
    maps = rng.normal(size=(3, 4, 5, 3))
    mask = (rng.uniform(size=(3, 4, 5)) < 0.5) & (np.arange(3) < 2)[:, np.newaxis, np.newaxis] if masked else None
    inputs = maps if data_format == "channels_last" else np.moveaxis(maps, -1, 1)
    layer = randomized(SMKPooling(smooth, data_format, dtype="float64"), inputs.shape, rng)
    pooled = layer(inputs, mask=mask)
    for b in range(3):
        valid = None if mask is None else mask[b]
        expected = smk_sample(maps[b], array(layer.center), array(layer.whitening), smooth, valid)
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-9)


class TestLimits:
    def test_begins_as_average_pooling(self, rng):
        features = rng.normal(size=(3, 7, 7, 4))
        pooled = SMKPooling(dtype="float64")(features)
        np.testing.assert_allclose(pooled, GAPPooling(dtype="float64")(features), rtol=0, atol=1e-14)

    def test_smoothing_leaves_a_constant_map_as_it_is(self, rng):
        maps = np.tile(rng.normal(size=4), (1, 3, 5, 1))
        mask = rng.uniform(size=(1, 3, 5)) < 0.5
        for valid in (None, mask):
            rough, smooth = (
                SMKPooling(choice, dtype="float64")(maps, mask=valid) for choice in (False, True)
            )
            np.testing.assert_allclose(smooth, rough, rtol=0, atol=1e-14)

    def test_descriptors_are_weighted_by_the_strength_of_their_features(self):
        layer = SMKPooling(dtype="float64")
        layer.build((None, 2, 2))
        layer.whitening.assign([[0.0, 7.0], [0.1, 0.0]])
        # Whitening turns both features but leaves them their strengths 5 and 2.
        pooled = layer(np.array([[[5.0, 0.0], [0.0, 2.0]]]))
        np.testing.assert_allclose(pooled, [[2 / 2, 5 / 2]], rtol=1e-14)

    def test_only_smoothing_knows_of_neighbours(self, rng):
        maps = rng.normal(size=(2, 4, 5, 3))
        shuffled = maps.reshape(2, 20, 3)[:, rng.permutation(20)].reshape(maps.shape)
        layers = [randomized(SMKPooling(smooth, dtype="float64"), maps.shape, rng) for smooth in (False, True)]
        np.testing.assert_allclose(layers[0](shuffled), layers[0](maps), rtol=0, atol=1e-13)
        assert np.max(np.abs(layers[1](shuffled) - layers[1](maps))) > 0.01


@pytest.mark.parametrize("smooth", [False, True])
def test_features_at_the_centre_give_finite_gradients(smooth, rng):
    maps = rng.normal(size=(2, 3, 3, 4))
    mask = np.arange(9).reshape(1, 3, 3) < np.array([4, 0]).reshape(2, 1, 1)
    for inputs in (1e4 * maps, np.zeros_like(maps), np.tile(maps[:1, :1, :1], (2, 3, 3, 1))):
        layer = SMKPooling(smooth)
        layer.build(inputs.shape)
        layer.center.assign(inputs[0, 0, 0].astype(np.float32))
        for valid in (None, mask):
            assert finite_everywhere(layer, inputs, valid)


def test_smoothing_compiles_for_maps_of_all_sizes(rng):
    layer = randomized(SMKPooling(smooth=True), (None, None, None, 4), rng)

    def step(images, mask):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(tf.square(layer(images, mask=mask)))
        return (loss, *tape.gradient(loss, [images, *layer.trainable_variables]))

    compiled = tf.function(step, jit_compile=True, input_signature=[
        tf.TensorSpec((None, None, None, 4)), tf.TensorSpec((None, None, None), tf.bool),
    ])
    for size in [(1, 1), (4, 3)]:
        images = tf.constant(rng.normal(size=(2, *size, 4)), tf.float32)
        mask = tf.constant(rng.uniform(size=(2, *size)) < 0.7)
        for actual, expected in zip(compiled(images, mask), step(images, mask), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


class TestErrors:
    def test_smoothing_takes_maps(self):
        for shape in [(2, 9, 4), (2, 3, 3, 3, 4)]:
            with pytest.raises(ValueError, match=r"inputs must have shape \(B, H, W, d\), or .* smooth=True; got"):
                SMKPooling(smooth=True)(tf.zeros(shape))
        with pytest.raises(ValueError, match="where smooth=True; got"):
            SMKPooling(smooth=True)(keras.Input((9, 4)))

    def test_smooth(self):
        with pytest.raises(ValueError, match="smooth must be one of False, True; got 'yes'"):
            SMKPooling(smooth="yes")
