import numpy as np
import pytest
from sklearn.datasets import load_digits

from gsp_tf.data import PARTS, digit_images, digit_indices


def test_every_image_is_in_exactly_one_part():
    indices = np.concatenate([digit_indices(part) for part in PARTS])
    np.testing.assert_array_equal(np.sort(indices), np.arange(1797))


def test_no_pixel_content_is_in_two_parts():
    contents = [{image.tobytes() for image in digit_images(part)[0]} for part in PARTS]
    assert [len(content) for content in contents] == [len(digit_indices(part)) for part in PARTS]
    assert len(set.union(*contents)) == sum(map(len, contents))


@pytest.mark.parametrize(("part", "share"), [("train", 0.5), ("validation", 0.2), ("test", 0.3)])
def test_parts_are_stratified_by_digit(part, share):
    _, digits = digit_images(part)
    everything = np.bincount(load_digits().target)
    assert np.all(np.abs(np.bincount(digits) - share * everything) <= 1)


@pytest.mark.parametrize("part", PARTS)
def test_images_are_the_source_images_scaled_to_one(part):
    images, digits = digit_images(part)
    source = load_digits()
    indices = digit_indices(part)
    assert images.dtype == np.float32 and digits.dtype == np.int32
    np.testing.assert_array_equal(images, source.images[indices] / 16)
    np.testing.assert_array_equal(digits, source.target[indices])
    assert np.all(np.diff(digits) >= 0) and images.min() == 0.0 and images.max() == 1.0


def test_a_caller_cannot_change_the_images_of_the_next_one():
    images, digits = digit_images("test")
    before = images.copy()
    images[:], digits[:] = 0.0, 0
    np.testing.assert_array_equal(digit_images("test")[0], before)
    with pytest.raises(ValueError, match="read-only"):
        digit_indices("test")[0] = 0


@pytest.mark.parametrize("part", ["val", None, 0])
def test_unknown_part(part):
    with pytest.raises(ValueError, match="part must be one of train, validation, test, got"):
        digit_images(part)
