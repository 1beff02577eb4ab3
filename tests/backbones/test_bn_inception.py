import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.backbones import bn_inception
from tests.backbones.random_tensors import random_tensors
from tests.reference.bn_inception import CONVOLUTIONS
from tests.reference.bn_inception import bn_inception as loops


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = bn_inception((None, None, 3))
    random_tensors(model, np.random.default_rng(0))
    return model


def test_equals_loops(rng):
    # 35 rows, as 227, leave an odd map to the second pool.
    images = rng.normal(size=(1, 35, 64, 3)).astype(np.float32)
    keras.mixed_precision.set_global_policy("float64")
    model = bn_inception((None, None, 3))
    expected = loops(images[0], random_tensors(model, rng))
    assert expected.shape == (1, 2, 1024) and expected.std() > 1e-2
    np.testing.assert_allclose(model(images)[0], expected, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def untouched():
    """With Keras's own initial weights, and batch-norm that trains."""
    keras.utils.set_random_seed(0)
    return bn_inception((None, None, 3), frozen_batch_norm=False)


@pytest.mark.parametrize(("size", "cells"), [(223, 7), (224, 7), (227, 7), (230, 7), (256, 8)])
def test_cells(model, size, cells):
    assert tuple(model.compute_output_shape((None, size, size, 3))) == (None, cells, cells, 1024)


def test_layers_have_the_checkpoints_names(model):
    convolutions = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert sorted(convolutions) == sorted(CONVOLUTIONS)
    assert sorted(layer.name for layer in norms) == sorted(f"{name}_bn" for name in CONVOLUTIONS)
    assert {layer.epsilon for layer in norms} == {1e-5}


def test_batch_norm_is_frozen(model, rng):
    images = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
    before = model.get_weights()
    np.testing.assert_array_equal(model(images, training=True), model(images, training=False))
    for value, original in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, original)
    assert len(model.trainable_weights) == 2 * len(CONVOLUTIONS)


def test_batch_norm_is_trained_on_demand(untouched, rng):
    images = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
    assert len(untouched.trainable_weights) == 4 * len(CONVOLUTIONS)
    assert np.abs(untouched(images, training=True) - untouched(images, training=False)).max() > 1e-2


def test_random_weights_keep_images_apart(untouched, rng):
    images = rng.normal(size=(4, 64, 64, 3)).astype(np.float32)
    pooled = untouched(images, training=False).numpy().mean(axis=(1, 2))
    assert np.all(np.isfinite(pooled))
    assert np.std(pooled, axis=0).max() > 1e-3


def test_half_precision(model, rng):
    images = rng.normal(size=(1, 64, 64, 3)).astype(np.float32)
    expected = model(images).numpy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    half = bn_inception((64, 64, 3))
    half.set_weights(model.get_weights())
    features = half(images)
    assert features.dtype == "float16"
    assert np.abs(tf.cast(features, tf.float32) - expected).max() < 1e-2 * np.abs(expected).max()


def test_images_of_a_wrong_shape():
    with pytest.raises(ValueError, match=r"images of bn_inception must be .* got shape \(227, 227\)"):
        bn_inception((227, 227))
    with pytest.raises(ValueError, match=r"got a tensor of shape \(2, 5\)"):
        bn_inception(tf.zeros((2, 5)))
    for size in (222, 231, 240):
        with pytest.raises(ValueError, match=rf"such as 224 or 227; got \(224, {size}\)"):
            bn_inception((224, size, 3))
