import pickle

import numpy as np
import pytest

from gsp_tf.data import DATASETS, PARTS, CifarCollage
from gsp_tf.data.mini import make_mini
from gsp_tf.data.readers import read_cifar100, read_cifar100_super_classes
from gsp_tf.errors import UserError
from tests.data.readers.copies import written

BACKGROUND = {"flowers", "large_man-made_outdoor_things", "large_natural_outdoor_scenes", "trees"}
# Which two parts of CIFAR-100 the images come from.
OFFICIAL = {"train": "train", "validation": "test", "test": "test"}
EACH = 4
each_part = pytest.mark.parametrize("part", PARTS)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    root = tmp_path_factory.mktemp("cifar100")
    make_mini("cifar100", root, images_per_class=EACH)
    return root


@pytest.fixture(scope="module")
def collage(path):
    def make(part, **options):
        return CifarCollage(part, path, allow_partial=True, **options)

    return make


@pytest.fixture(scope="module")
def tiles_of(path):
    """Function from images to (B, tiles) of (official part, name of the class, index), in reading order."""
    known = {
        image.tobytes(): (part, labelled.class_names[label], index)
        for part, labelled in read_cifar100(path, allow_partial=True).items()
        for index, (image, label) in enumerate(zip(labelled.images, labelled.labels, strict=True))
    }
    assert len(known) == 2 * 100 * EACH

    def find(images):
        pixels = np.round(images * 255).astype(np.uint8)
        return [
            [known[image[top : top + 32, left : left + 32].tobytes()]
             for top in range(0, image.shape[0], 32) for left in range(0, image.shape[1], 32)]
            for image in pixels
        ]

    return find


def test_a_config_finds_it():
    assert DATASETS["cifar_collage"] is CifarCollage and CifarCollage.name == "cifar_collage"


def test_no_sub_class_is_in_two_parts_and_none_is_missing(path, collage):
    super_classes = read_cifar100_super_classes(path)
    seen = []
    for part, count in zip(PARTS, (2, 1, 2), strict=True):
        dataset = collage(part)
        assert dataset.part == part and dataset.num_classes == len(dataset.class_names) == len(dataset.classes) == 16
        assert set(dataset.class_names) == set(super_classes.values()) - BACKGROUND
        assert dataset.class_names == collage("train").class_names
        for name, shown in zip(dataset.class_names, dataset.classes, strict=True):
            assert len(shown) == count and {super_classes[sub_class] for sub_class in shown} == {name}
        assert {super_classes[sub_class] for sub_class in dataset.background_classes} == BACKGROUND
        seen += [*sum(dataset.classes, ()), *dataset.background_classes]
    assert len(seen) == 100 and set(seen) == set(super_classes)


def test_sub_classes_are_divided_in_the_order_of_their_names(collage):
    """In the small data set's first super-class these are class_00, class_20, ..., in its flowers class_02, ..."""
    first = [collage(part).classes[0] for part in PARTS]
    assert first == [("class_00", "class_20"), ("class_40",), ("class_60", "class_80")]
    flowers = [[name for name in collage(part).background_classes if name.endswith("2")] for part in PARTS]
    assert flowers == [["class_02", "class_22"], ["class_42"], ["class_62", "class_82"]]


@each_part
def test_every_fixed_image_shows_another_image_of_its_class_among_three_of_background(collage, tiles_of, part):
    dataset = collage(part)
    images, labels = dataset.images_and_labels()
    assert dataset.image_shape == images.shape[1:] == (64, 64, 3)
    assert images.dtype == np.float32 and labels.dtype == np.int32 and 0 <= images.min() < 0.1 < 0.7 < images.max() <= 1
    np.testing.assert_array_equal(labels, np.repeat(np.arange(16), EACH * len(dataset.classes[0])))
    shown, places = [], set()
    for label, tiles in zip(labels, tiles_of(images), strict=True):
        assert {official for official, _, _ in tiles} == {OFFICIAL[part]}
        (place,) = [place for place, (_, name, _) in enumerate(tiles) if name in dataset.classes[label]]
        assert all(tile[1] in dataset.background_classes for tile in tiles[:place] + tiles[place + 1 :])
        shown.append(tiles[place])
        places.add(place)
    assert len(set(shown)) == len(shown) and places == {0, 1, 2, 3}


def test_places_and_background_are_equally_likely(collage, tiles_of):
    dataset = collage("test")
    tiles = tiles_of(dataset.draw(np.zeros(4000, int), np.random.default_rng(0)))
    names = np.array([[name for _, name, _ in of_image] for of_image in tiles])
    is_class = np.isin(names, dataset.classes[0])
    assert is_class.sum(axis=1).tolist() == [1] * 4000
    # Three standard deviations of a share over 4,000 and over 12,000 draws.
    assert is_class.mean(axis=0) == pytest.approx([1 / 4] * 4, abs=0.021)
    shares = [np.mean(names[~is_class] == name) for name in dataset.background_classes]
    assert shares == pytest.approx([1 / 8] * 8, abs=0.0091)


@each_part
def test_distilled_images_are_those_of_the_classes_as_they_are(collage, tiles_of, part):
    dataset = collage(part, background=False)
    images, labels = dataset.images_and_labels()
    assert dataset.image_shape == images.shape[1:] == (32, 32, 3) and dataset.background_classes == ()
    assert dataset.classes == collage(part).classes
    shown = [tile for (tile,) in tiles_of(images)]
    assert all(official == OFFICIAL[part] for official, _, _ in shown) and len(set(shown)) == len(shown)
    assert all(name in dataset.classes[label] for label, (_, name, _) in zip(labels, shown, strict=True))


@pytest.mark.parametrize("background", [True, False])
def test_batches_depend_on_the_seed_alone_and_repeat_no_image_of_a_class(collage, tiles_of, background):
    dataset = collage("train", background=background)
    batches = dataset.training_batches(16, 8, seed=3)
    (images, labels), second = next(batches), next(batches)
    assert images.dtype == np.float32 and images.shape == (128, *dataset.image_shape) and sorted(set(labels)) == [*range(16)]
    resumed = next(collage("train", background=background).training_batches(16, 8, seed=3, start_step=1))
    for mine, other in zip(second, resumed, strict=True):
        np.testing.assert_array_equal(mine, other)
    other_seed = next(dataset.training_batches(16, 8, seed=4))[0]
    assert np.any(other_seed != images)
    # A class of the small data set has eight images, all of which are in the batch.
    shown = [tile for label, tiles in zip(labels, tiles_of(images), strict=True) for tile in tiles
             if tile[1] in dataset.classes[label]]
    assert len(set(shown)) == len(shown) == 128


def test_fixed_images_are_the_same_in_every_construction_and_come_in_batches(collage):
    first, second = collage("validation", images_per_class=3), collage("validation", images_per_class=3)
    first.draw([0, 1], np.random.default_rng(0))
    images, labels = second.images_and_labels()
    assert images.shape == (48, 64, 64, 3) and labels.tolist() == sorted([*range(16)] * 3)
    np.testing.assert_array_equal(first.labels, labels)
    np.testing.assert_array_equal(np.concatenate(list(first.evaluation_batches(7))), images)
    np.testing.assert_array_equal(first.evaluation_images([5, 0]), images[[5, 0]])
    assert len(collage("validation").labels) == 16 * EACH and len(collage("test").labels) == 32 * EACH


@pytest.mark.parametrize("options, message", [
    ({"part": "valid"}, "part must be one of train, validation, test, got 'valid'"),
    ({"part": "test", "background": (0, 8)}, r"background must be True, or False .* got \(0, 8\)"),
    ({"part": "test", "background": 1}, "background must be True, or False"),
    ({"part": "test", "images_per_class": 0}, "images_per_class must be a whole number of at least 1, got 0"),
    ({"part": "test", "images_per_class": 9}, "images_per_class must be at most 8, .* of test: .* got 9"),
    ({"part": "validation", "images_per_class": 5}, "images_per_class must be at most 4"),
])
def test_arguments_out_of_range(collage, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        collage(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("labels, message", [
    ([0, 16], "labels must be from 0 to 15, got 16"),
    ([-1], "labels must be from 0 to 15, got -1"),
    ([0.0], "labels must be integers of shape"),
])
def test_labels_outside_the_classes(collage, labels, message):
    with pytest.raises(ValueError, match=message):
        collage("test").draw(labels, np.random.default_rng(0))


def test_no_label_gives_no_image(collage):
    images = collage("test").draw(np.empty(0, int), np.random.default_rng(0))
    assert images.shape == (0, 64, 64, 3) and images.dtype == np.float32


def test_data_sets_that_are_not_whole_are_an_error(path, tmp_path):
    with pytest.raises(UserError, match="train has 400 images of 100 classes, as published 50,000 of 100"):
        CifarCollage("train", path)
    with pytest.raises(UserError, match="does not hold CIFAR-100"):
        CifarCollage("train", tmp_path, allow_partial=True)


@pytest.mark.parametrize("old, new, message", [
    (b"trees", b"woods", "there is no super-class trees; a collage takes the official super-classes of 5 sub-classes"),
    (b"people", b"fish", "the super-class fish has 10 sub-classes; a collage takes the official super-classes of 5"),
])
def test_other_super_classes_are_an_error(tmp_path, old, new, message):
    root = written("cifar100", tmp_path)
    meta = root / "cifar-100-python" / "meta"
    values = pickle.loads(meta.read_bytes())
    values[b"coarse_label_names"] = [new if name == old else name for name in values[b"coarse_label_names"]]
    meta.write_bytes(pickle.dumps(values, 2))
    with pytest.raises(UserError, match=message):
        CifarCollage("train", root, allow_partial=True)


@pytest.mark.parametrize("label, part", [(0, "train"), (42, "validation"), (60, "test")])
def test_a_sub_class_without_an_image_is_an_error(tmp_path, label, part):
    root = written("cifar100", tmp_path)
    file = root / "cifar-100-python" / OFFICIAL[part]
    values = pickle.loads(file.read_bytes())
    kept = np.array(values[b"fine_labels"]) != label
    for key in (b"fine_labels", b"coarse_labels"):
        values[key] = np.array(values[key])[kept].tolist()
    file.write_bytes(pickle.dumps({**values, b"data": values[b"data"][kept]}, 2))
    with pytest.raises(UserError, match=f"part {OFFICIAL[part]} has no image of class_{label:02d}, which"):
        CifarCollage(part, root, allow_partial=True)
    for other in set(PARTS) - {part}:
        assert CifarCollage(other, root, allow_partial=True).num_classes == 16
