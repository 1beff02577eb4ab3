import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.backbones.caffe_pooling import ceil_max_pooling, padded_average_pooling
from tests.reference.convolutional import ceil_max_pool, padded_average_pool

SIZES = [(3, 3), (4, 4), (4, 5), (7, 6), (8, 2), (9, 12)]
POOLINGS = {"ceil max": (ceil_max_pooling, ceil_max_pool), "padded average": (padded_average_pooling, padded_average_pool)}


@pytest.fixture
def double():
    keras.mixed_precision.set_global_policy("float64")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", POOLINGS)
def test_equals_loops(name, size, rng, double):
    pooling, reference = POOLINGS[name]
    # What is pooled comes out of ReLU: many zeros, nothing below.
    maps = np.maximum(rng.normal(size=(2, *size, 3)), 0.0)
    inputs = keras.Input((None, None, 3), dtype="float64")
    pooled = keras.Model(inputs, pooling(inputs))(maps).numpy()
    for sample, expected in zip(pooled, map(reference, maps), strict=True):
        assert sample.shape == expected.shape
        np.testing.assert_allclose(sample, expected, rtol=1e-14)


@pytest.mark.parametrize("size", SIZES)
def test_padded_average_takes_negative_values(size, rng, double):
    maps = rng.normal(size=(1, *size, 2))
    np.testing.assert_allclose(padded_average_pooling(tf.constant(maps))[0], padded_average_pool(maps[0]), atol=1e-14)


@pytest.mark.parametrize("size", SIZES)
def test_gradient_goes_to_the_largest_of_every_window(size, rng, double):
    maps = tf.constant(rng.permutation(size[0] * size[1]).reshape(1, *size, 1) + 1.0)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        pooled = ceil_max_pooling(maps)
        total = tf.reduce_sum(pooled)
    gradient = tape.gradient(total, maps).numpy()
    for value, times in zip(*np.unique(pooled, return_counts=True), strict=True):
        assert gradient[maps.numpy() == value] == times
    assert gradient.sum() == pooled.numpy().size
