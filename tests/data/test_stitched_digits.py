"""What holds for every data set of stitched digits and its variants."""

import numpy as np
import pytest

from gsp_tf.data import DATASETS, PARTS, digit_indices
from tests.data.cells import source_cells

VARIANTS = [("digits_mixture", {}), ("digits_collage", {}), ("digits_collage", {"class_digits": 2})]
each_variant = pytest.mark.parametrize(("name", "options"), VARIANTS)
each_part = pytest.mark.parametrize("part", PARTS)


@each_variant
def test_no_class_is_in_two_parts_and_none_is_missing(name, options):
    sets = [{frozenset(digits) for digits in DATASETS[name](part, **options).classes} for part in PARTS]
    sizes = (18, 7, 10) if options == {} and name == "digits_collage" else (11, 4, 6)
    assert tuple(map(len, sets)) == sizes
    assert len(set.union(*sets)) == sum(sizes)


@each_variant
@each_part
def test_every_class_digit_is_in_a_class_of_every_part(name, options, part):
    assert {digit for digits in DATASETS[name](part, **options).classes for digit in digits} == set(
        range(1, 8)
    )


@each_variant
@each_part
def test_cells_come_from_the_source_images_of_the_part_only(name, options, part):
    dataset = DATASETS[name](part, **options)
    fixed, _ = dataset.images_and_labels()
    fresh = dataset.draw(np.arange(dataset.num_classes), np.random.default_rng(8))
    indices, _ = source_cells(np.concatenate([fixed, fresh]))
    assert set(indices.ravel()) <= set(digit_indices(part))


@each_variant
@each_part
def test_interface(name, options, part):
    dataset = DATASETS[name](part, images_per_class=3, **options)
    images, labels = dataset.images_and_labels()
    assert dataset.name == name and dataset.part == part
    assert len(dataset.class_names) == len(set(dataset.class_names)) == dataset.num_classes
    assert images.dtype == np.float32 and labels.dtype == np.int32
    assert images.shape == (3 * dataset.num_classes, *dataset.image_shape)
    assert images.min() == 0.0 and images.max() == 1.0
    np.testing.assert_array_equal(labels, np.repeat(np.arange(dataset.num_classes), 3))


@each_variant
@each_part
def test_fixed_images_are_the_same_in_every_construction(name, options, part):
    first, second = DATASETS[name](part, **options), DATASETS[name](part, **options)
    first.draw([0, 1], np.random.default_rng(0))
    np.random.seed(5)
    for mine, other in zip(first.images_and_labels(), second.images_and_labels(), strict=True):
        np.testing.assert_array_equal(mine, other)
    images, _ = first.images_and_labels()
    assert len(images) == 60 * first.num_classes
    assert len({image.tobytes() for image in images}) == len(images)


@each_variant
def test_drawing_depends_on_the_generator_alone(name, options):
    dataset = DATASETS[name]("train", noise=0.1, **options)
    labels = np.array([0, 3, 3, 5], np.int32)
    images = dataset.draw(labels, np.random.default_rng(1))
    np.testing.assert_array_equal(images, dataset.draw(labels.tolist(), np.random.default_rng(1)))
    assert np.any(images != dataset.draw(labels, np.random.default_rng(2)), axis=(1, 2, 3)).all()
    assert np.any(images[1] != images[2])


@each_variant
def test_noise_is_added_to_the_same_images(name, options):
    clean, _ = DATASETS[name]("test", **options).images_and_labels()
    noisy, _ = DATASETS[name]("test", noise=0.2, **options).images_and_labels()
    middle = (clean > 0.4) & (clean < 0.6)
    assert (noisy - clean)[middle].std() == pytest.approx(0.2, abs=0.02)
    assert noisy.min() == 0.0 and noisy.max() == 1.0


@each_variant
@pytest.mark.parametrize("background", [(9,), (0, 8), (0, 8, 9)])
def test_background_digits_are_those_asked_for(name, options, background):
    dataset = DATASETS[name]("test", background=list(background), **options)
    _, digits = source_cells(dataset.images_and_labels()[0])
    assert set(digits[~np.isin(digits, np.arange(1, 8))]) == set(background)


@each_variant
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(part="valid"), "part must be one of train, validation, test, got 'valid'"),
        (dict(part="test", background=(0, 7)), r"background must be .* got \(0, 7\)"),
        (dict(part="test", background=()), "background must be"),
        (dict(part="test", background=(0, 0)), "background must be"),
        (dict(part="test", background=9), "background must be"),
        (dict(part="test", background=(8.5,)), "background must be"),
        (dict(part="test", background="89"), "background must be"),
        (
            dict(part="test", images_per_class=0),
            "images_per_class must be a whole number of at least 1, got 0",
        ),
        (dict(part="test", images_per_class=2.5), "images_per_class must be"),
        (dict(part="test", noise=-0.1), "noise must be"),
        (dict(part="test", noise=float("nan")), "noise must be"),
        (dict(part="test", noise="0.1"), "noise must be"),
    ],
)
def test_errors(name, options, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        DATASETS[name](**arguments, **options)
    assert "\n" not in str(caught.value)


@each_variant
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 99], "labels must be from 0 to .*, got 99"),
        ([-1], "labels must be from 0 to .*, got -1"),
        ([0.0], "labels must be integers of shape"),
        ([[0], [1]], "labels must be integers of shape"),
        (0, "labels must be integers of shape"),
    ],
)
def test_labels_outside_the_classes(name, options, labels, message):
    with pytest.raises(ValueError, match=message):
        DATASETS[name]("test", **options).draw(labels, np.random.default_rng(0))
