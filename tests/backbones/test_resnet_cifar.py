import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.backbones import resnet20, resnet_v2_20
from gsp_tf.backbones.subsampled_identity import SubsampledIdentity
from tests.backbones.random_tensors import random_tensors
from tests.finite_differences import relative_error
from tests.reference import residual

NETWORKS = {"resnet20": (resnet20, residual.resnet20), "resnet_v2_20": (resnet_v2_20, residual.resnet_v2_20)}


@pytest.mark.parametrize("size", [(16, 16), (15, 18)])
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_loops(name, size, rng):
    make, loops = NETWORKS[name]
    model = make((None, None, 3))
    tensors = random_tensors(model, rng)
    images = rng.normal(size=(2, *size, 3)).astype(np.float32)
    features = model(images, training=False)
    for sample, image in zip(features, images, strict=True):
        expected = loops(image, tensors)
        assert sample.shape == expected.shape and expected.std() > 1e-2
        assert relative_error(sample, expected) < 1e-5


@pytest.mark.parametrize(("make", "trainable"), [(resnet20, 269_072), (resnet_v2_20, 568_032)])
def test_size_of_the_published_network(make, trainable):
    model = make((32, 32, 3))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trainable


@pytest.mark.parametrize(("make", "channels"), [(resnet20, 64), (resnet_v2_20, 256)])
@pytest.mark.parametrize(("shape", "cells"), [((32, 32, 3), 8), ((28, 28, 1), 7), ((64, 64, 3), 16)])
def test_shapes(make, channels, shape, cells):
    assert tuple(make(keras.Input(shape)).shape) == (None, cells, cells, channels)


@pytest.mark.parametrize("make", [resnet20, resnet_v2_20])
def test_batch_norm_is_trained_unless_frozen(make, rng):
    images = rng.normal(size=(4, 16, 16, 3)).astype(np.float32)
    free, frozen = make((16, 16, 3)), make((16, 16, 3), frozen_batch_norm=True)
    assert np.abs(free(images, training=True) - free(images, training=False)).max() > 1e-3
    np.testing.assert_array_equal(frozen(images, training=True), frozen(images, training=False))
    norms = sum(isinstance(layer, keras.layers.BatchNormalization) for layer in free.layers)
    assert len(free.trainable_weights) - len(frozen.trainable_weights) == 2 * norms > 0


@pytest.mark.parametrize("make", [resnet20, resnet_v2_20])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_trains(make, policy, rng):
    keras.mixed_precision.set_global_policy(policy)
    model = make((16, 16, 3))
    images = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        features = model(images, training=True)
        loss = tf.reduce_mean(tf.square(tf.cast(features, tf.float32)))
    assert features.dtype == policy.removeprefix("mixed_")
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    assert any(np.any(gradient != 0) for gradient in gradients)


def test_subsampled_identity(rng):
    maps = tf.constant(rng.normal(size=(2, 5, 4, 3)))
    layer = SubsampledIdentity(7, 2, dtype="float64")
    with tf.GradientTape() as tape:
        tape.watch(maps)
        output = layer(maps)
    np.testing.assert_array_equal(output[..., :3], maps[:, ::2, ::2])
    np.testing.assert_array_equal(output[..., 3:], np.zeros((2, 3, 2, 4)))
    expected = np.zeros(maps.shape)
    expected[:, ::2, ::2] = 1.0
    np.testing.assert_array_equal(tape.gradient(output, maps), expected)
    assert tuple(layer.compute_output_shape((None, 5, None, 3))) == (None, 3, None, 7)
    with pytest.raises(ValueError, match="channels must be at least 3, the channels of the map; got 2"):
        SubsampledIdentity(2)(maps)
    with pytest.raises(ValueError, match="strides must be a whole number of at least 1; got 0"):
        SubsampledIdentity(2, 0)
