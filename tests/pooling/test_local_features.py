import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.pooling import local_features


def test_maps_become_features_and_back(rng):
    images = rng.normal(size=(2, 3, 4, 5))
    features, valid = local_features.flatten_features(images, None, "channels_last")
    assert valid is None
    np.testing.assert_array_equal(features, images.reshape(2, 12, 5))
    first = np.moveaxis(images, -1, 1)
    np.testing.assert_array_equal(local_features.flatten_features(first, None, "channels_first")[0], features)
    weights = images[..., 0].reshape(2, 12)
    for inputs, data_format in [(images, "channels_last"), (first, "channels_first")]:
        back = local_features.unflatten_weights(tf.constant(weights), tf.constant(inputs), data_format)
        np.testing.assert_array_equal(back, images[..., 0])


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(2, 12), (2, 3, 4)])
def test_masks_become_booleans(dtype, shape):
    mask = np.zeros(shape, dtype)
    mask[0] = 1
    _, valid = local_features.flatten_features(np.zeros((2, 3, 4, 5)), mask, "channels_last")
    assert valid.dtype == tf.bool
    np.testing.assert_array_equal(valid, mask.reshape(2, 12).astype(bool))


def test_masked_mean_and_max(rng):
    features, valid = rng.normal(size=(2, 4, 3)) - 5, np.array([[1, 0, 1, 0], [0, 0, 0, 0]], bool)
    for function, reference in [(local_features.masked_mean, np.mean), (local_features.masked_max, np.max)]:
        np.testing.assert_allclose(function(tf.constant(features), None), reference(features, axis=1), rtol=1e-14)
        pooled = function(tf.constant(features), tf.constant(valid)).numpy()
        np.testing.assert_allclose(pooled[0], reference(features[0, ::2], axis=0), rtol=1e-14)
        np.testing.assert_array_equal(pooled[1], np.zeros(3))


def test_data_format():
    assert local_features.check_data_format(None) == keras.backend.image_data_format()
    assert local_features.feature_dim((None, 7, 7, 4), "channels_last") == 4
    assert local_features.feature_dim((None, 4, 7, 7), "channels_first") == 4


def test_errors():
    with pytest.raises(ValueError, match="data_format must be one of"):
        local_features.check_data_format("last")
    with pytest.raises(ValueError, match=r"inputs must have shape .* got shape \(None, 4\) of rank 2"):
        local_features.feature_dim((None, 4), "channels_last")
    with pytest.raises(ValueError, match="the feature dimension of inputs must be known"):
        local_features.feature_dim((None, None, 7), "channels_first")
