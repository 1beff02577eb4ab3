import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.backbones import Preprocessing, preprocess


def pixel(red, green, blue):
    return tf.constant([[[[red, green, blue]]]], tf.float32)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("none", (0.2, 0.4, 1.0)),
        ("caffe_bgr", (255 - 104, 0.4 * 255 - 117, 0.2 * 255 - 128)),
        ("keras_caffe", (255 - 103.939, 0.4 * 255 - 116.779, 0.2 * 255 - 123.68)),
        ("torch", ((0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (1.0 - 0.406) / 0.225)),
    ],
)
def test_a_pixel(kind, expected):
    np.testing.assert_allclose(preprocess(pixel(0.2, 0.4, 1.0), kind)[0, 0, 0], expected, rtol=1e-5, atol=1e-4)


def test_keras_caffe_is_kerass_own(rng):
    images = rng.integers(0, 256, (2, 5, 4, 3)).astype(np.float32)
    expected = keras.applications.resnet50.preprocess_input(images.copy())
    np.testing.assert_allclose(preprocess(images / 255.0, "keras_caffe"), expected, atol=1e-4)


@pytest.mark.parametrize(("policy", "step"), [("mixed_float16", 2**-4), ("mixed_bfloat16", 0.5)])
def test_half_precision_rounds_once(policy, step, rng):
    images = rng.uniform(size=(1, 9, 9, 3)).astype(np.float32)
    exact = Preprocessing("caffe_bgr", dtype="float32")(images).numpy()
    rounded = Preprocessing("caffe_bgr", dtype=policy)(images)
    assert rounded.dtype == policy.removeprefix("mixed_")
    assert np.abs(tf.cast(rounded, tf.float32) - exact).max() <= step


def test_grey_images():
    assert preprocess(tf.ones((1, 4, 4, 1)), "none").shape == (1, 4, 4, 1)
    with pytest.raises(ValueError, match="images must have three channels for 'torch'"):
        preprocess(tf.ones((1, 4, 4, 1)), "torch")


def test_unknown_kind():
    with pytest.raises(ValueError, match="kind must be one of 'none', 'caffe_bgr', 'keras_caffe', 'torch'; got 'caffe'"):
        preprocess(pixel(0.0, 0.0, 0.0), "caffe")


def test_config():
    again = Preprocessing.from_config(Preprocessing("torch", name="scaled").get_config())
    assert (again.kind, again.name) == ("torch", "scaled")
