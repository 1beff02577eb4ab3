import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.data.augmentation import (
    VARIATES,
    Augmentation,
    evaluation_window,
    mirrored,
    resized,
    training_window,
)
from tests.data.image_files import smooth_pixels
from tests.reference import image_windows

SIZES = [(375, 500), (500, 375), (256, 256), (256, 1000), (3000, 2000), (40, 50), (32, 32), (7, 300), (1, 1), (2, 1)]
SETTINGS = [
    Augmentation(),
    Augmentation(resize=32, crop=32, min_side=32, ratio=(1, 1), flip=0),
    Augmentation(resize=64, crop=56, min_side=1, ratio=(0.2, 1.5)),
]


def random_variates(count, seed=0):
    variates = np.random.default_rng(seed).random((count, VARIATES))
    extremes = np.stack([np.zeros(VARIATES), np.full(VARIATES, np.nextafter(1, 0))])
    return np.concatenate([extremes, variates])


def training_windows(settings, height, width, variates):
    """int (N, 4), in a graph, as it is used."""
    @tf.function
    def windows(height, width, variates):
        return tf.map_fn(
            lambda u: training_window(settings, height, width, u), variates, fn_output_signature=tf.int32
        )

    return windows(tf.constant(height), tf.constant(width), variates).numpy()


@pytest.mark.parametrize("settings", SETTINGS, ids=["default", "none", "wide"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_training_windows_are_those_of_the_formula(settings, height, width):
    variates = random_variates(60)
    windows = training_windows(settings, height, width, variates)
    expected = [
        image_windows.training_window(settings.resize, settings.min_side, settings.ratio, height, width, u)
        for u in variates
    ]
    np.testing.assert_array_equal(windows, expected)
    top, left, window_height, window_width = windows.T
    assert top.min() >= 0 and left.min() >= 0 and window_height.min() >= 1 and window_width.min() >= 1
    assert (top + window_height).max() <= height and (left + window_width).max() <= width


def test_training_windows_keep_their_bounds_and_reach_them():
    # An image whose shorter side is 10 × 256: rounding to whole pixels is small beside the bounds.
    _, _, height, width = training_windows(Augmentation(), 2560, 4000, random_variates(4000)).T / 10
    assert min(height.min(), width.min()) == pytest.approx(40, abs=8) and min(height.min(), width.min()) >= 39.9
    assert max(height.max(), width.max()) == pytest.approx(256, abs=8) and max(height.max(), width.max()) <= 256.1
    ratio = width / height
    assert 0.745 <= ratio.min() < 0.76 and 1.32 < ratio.max() <= 1.345
    # Log-uniform: half of the windows are upright.
    assert np.mean(ratio < 1) == pytest.approx(0.5, abs=0.03)
    squares = np.abs(np.log(ratio)) < 0.05
    # Their area is uniform between the bounds.
    assert np.mean((height * width)[squares] / 256**2) == pytest.approx((1 + (40 / 256) ** 2) / 2, abs=0.05)


def test_training_windows_are_anywhere():
    top, left, height, width = training_windows(Augmentation(), 375, 500, random_variates(4000)).T
    for start, side, length in ((top, height, 375), (left, width, 500)):
        room = length - side
        place = start[room > 20] / room[room > 20]
        assert place.min() == 0 and place.max() == 1 and place.mean() == pytest.approx(0.5, abs=0.03)


def test_settings_without_randomness_show_the_whole_image():
    windows = training_windows(SETTINGS[1], 32, 32, random_variates(50))
    np.testing.assert_array_equal(windows, [(0, 0, 32, 32)] * 52)
    assert evaluation_window(SETTINGS[1], tf.constant(32), tf.constant(32)).numpy().tolist() == [0, 0, 32, 32]


@pytest.mark.parametrize("settings", SETTINGS, ids=["default", "none", "wide"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_evaluation_window_is_the_middle(settings, height, width):
    window = evaluation_window(settings, tf.constant(height), tf.constant(width)).numpy()
    np.testing.assert_array_equal(
        window, image_windows.evaluation_window(settings.resize, settings.crop, height, width)
    )


@pytest.mark.parametrize(("height", "width"), [(375, 500), (600, 400), (256, 256)])
def test_window_of_the_original_is_that_of_the_resized_image(height, width):
    settings = Augmentation()
    image = smooth_pixels(height, width)
    top, left, side, _ = evaluation_window(settings, tf.constant(height), tf.constant(width)).numpy()
    ours = resized(tf.constant(image[top : top + side, left : left + side]), 227).numpy()
    scale = 256 / min(height, width)
    first = tf.image.resize(image, (round(height * scale), round(width * scale)))
    expected = tf.image.resize_with_crop_or_pad(first, 227, 227).numpy() / 255
    # Half a pixel of a slope of at most 1 over the shorter side.
    assert np.abs(ours - expected).max() < 1.5 / 256


@pytest.mark.parametrize("shape", [(20, 20), (10, 31), (7, 5), (39, 20), (1, 1), (1, 30), (20, 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resized_is_bilinear(shape, channels):
    image = np.random.default_rng(0).integers(0, 256, (*shape, channels)).astype(np.uint8)
    result = resized(tf.constant(image), 20).numpy()
    assert result.dtype == np.float32 and result.shape == (20, 20, channels)
    np.testing.assert_allclose(result, image_windows.bilinear(image, 20) / 255, atol=4e-6)


@pytest.mark.parametrize("shape", [(40, 40), (97, 30), (25, 61)])
def test_resized_is_antialiased_where_it_shrinks_to_half(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    result = resized(tf.constant(image), 20).numpy()
    np.testing.assert_allclose(result, image_windows.antialiased(image, 20) / 255, atol=4e-6)
    assert np.abs(result - image_windows.bilinear(image, 20) / 255).max() > 0.05


@pytest.mark.parametrize("shape", [(31, 9), (200, 300)])
def test_resized_stays_in_range(shape):
    for value in (0, 255):
        result = resized(tf.fill((*shape, 3), tf.constant(value, tf.uint8)), 20).numpy()
        np.testing.assert_allclose(result, value / 255, rtol=1e-6)
        assert result.max() <= 1


def test_mirrored():
    image = smooth_pixels(8, 8) / np.float32(255)
    for flip, variate, expected in ((0.5, 0.49, True), (0.5, 0.5, False), (0, 0.0, False), (1, 0.999, True)):
        variates = tf.constant([0, 0, 0, 0, variate], tf.float64)
        result = mirrored(tf.constant(image), Augmentation(flip=flip), variates).numpy()
        np.testing.assert_array_equal(result, image[:, ::-1] if expected else image)


def test_settings_are_equal_and_hashable_in_whichever_form():
    assert Augmentation(ratio=[1, 2], min_side=1) == Augmentation(ratio=(1.0, 2.0), min_side=1)
    assert len({Augmentation(), Augmentation(ratio=(3 / 4, 4 / 3))}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(resize=0), "resize must be"),
        (dict(crop=2.5), "crop must be"),
        (dict(min_side=True), "min_side must be"),
        (dict(crop=300), "crop must be at most resize=256, got 300"),
        (dict(min_side=193), "min_side must be at most 192"),
        (dict(min_side=150, ratio=(0.5, 1)), "min_side must be at most 128"),
        (dict(ratio=(2, 1)), "ratio must be two positive numbers"),
        (dict(ratio=(0, 1)), "ratio must be two positive numbers"),
        (dict(ratio=(1, float("inf"))), "ratio must be two positive numbers"),
        (dict(ratio=1), "ratio must be two positive numbers"),
        (dict(flip=1.5), "flip must be"),
        (dict(flip=float("nan")), "flip must be"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**arguments)
