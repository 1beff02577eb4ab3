import numpy as np
import pytest

from gsp_tf.data import PARTS, DigitsCollage
from tests.data.cells import source_cells


@pytest.mark.parametrize(
    ("class_digits", "part", "num_classes"),
    [
        (3, "train", 18),
        (3, "validation", 7),
        (3, "test", 10),
        (2, "train", 11),
        (2, "validation", 4),
        (2, "test", 6),
    ],
)
def test_classes(class_digits, part, num_classes):
    dataset = DigitsCollage(part, class_digits)
    assert dataset.num_classes == num_classes and dataset.image_shape == (24, 24, 1)
    assert all(
        len(set(digits)) == class_digits and set(digits) <= set(range(1, 8)) for digits in dataset.classes
    )
    assert dataset.class_names == tuple("+".join(map(str, digits)) for digits in dataset.classes)


@pytest.mark.parametrize("class_digits", [2, 3])
@pytest.mark.parametrize("part", PARTS)
def test_composition_of_every_image(class_digits, part):
    dataset = DigitsCollage(part, class_digits)
    images, labels = dataset.images_and_labels()
    indices, digits = source_cells(images)
    assert indices.min() >= 0
    for label, cells in zip(labels, digits, strict=True):
        is_background = np.isin(cells, (0, 8, 9))
        assert tuple(sorted(cells[~is_background])) == dataset.classes[label]
        assert is_background.sum() == 9 - class_digits


def test_background_digits_are_equally_likely_and_places_random():
    dataset = DigitsCollage("train")
    _, cells = source_cells(dataset.draw(np.zeros(4000, int), np.random.default_rng(0)))
    background = cells[np.isin(cells, (0, 8, 9))]
    assert [np.mean(background == digit) for digit in (0, 8, 9)] == pytest.approx([1 / 3] * 3, abs=0.012)
    for digit in dataset.classes[0]:
        assert (cells == digit).mean(axis=0) == pytest.approx([1 / 9] * 9, abs=0.02)


@pytest.mark.parametrize("class_digits", [1, 4, "3", 2.0])
def test_class_digits_out_of_range(class_digits):
    with pytest.raises(ValueError, match="class_digits must be"):
        DigitsCollage("train", class_digits)
