import gc
import itertools
import os
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gsp_tf.data.augmentation import VARIATES, Augmentation
from gsp_tf.data.image_dataset import ImageDataset
from gsp_tf.data.image_sampler import ImageSampler
from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.errors import UserError
from gsp_tf.training.distribution import build_strategy, distribute_batches
from tests.data.image_files import image_files, opened
from tests.reference import image_windows

SETTINGS = Augmentation(resize=32, crop=24, min_side=16)


def cut(image, window):
    top, left, height, width = window
    return image[top : top + height, left : left + width]


def expected_training_image(pixels, variates):
    window = image_windows.training_window(
        SETTINGS.resize, SETTINGS.min_side, SETTINGS.ratio, *pixels.shape[:2], variates
    )
    image = image_windows.resized(cut(pixels, window), SETTINGS.crop) / 255
    return image[:, ::-1] if variates[4] < SETTINGS.flip else image


def expected_middle(pixels):
    window = image_windows.evaluation_window(SETTINGS.resize, SETTINGS.crop, *pixels.shape[:2])
    return image_windows.resized(cut(pixels, window), SETTINGS.crop) / 255


def variates_of(seed, step, count):
    return np.random.default_rng([seed, step, 4]).random((count, VARIATES))


def batches_of(dataset, steps, **arguments):
    arguments = {**dict(classes_per_batch=2, samples_per_class=3, seed=5), **arguments}
    return list(itertools.islice(dataset.training_batches(**arguments), steps))


def assert_same_batches(batches, expected):
    for (images, labels), (expected_images, expected_labels) in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return image_files(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def dataset(files):
    return ImageDataset(files, SETTINGS)


@pytest.fixture
def broken(tmp_path):
    """Nine files of which those of index 1 (cut off), 3 (empty) and 4 (missing) cannot be decoded."""
    files = image_files(tmp_path, size=(120, 160))
    contents = files.images[1].read_bytes()
    files.images[1].write_bytes(contents[: len(contents) * 2 // 3])
    files.images[3].write_bytes(b"")
    files.images[4].unlink()
    return files


def test_attributes(dataset, files):
    assert len(dataset) == 9 and dataset.num_classes == 3 and dataset.image_shape == (24, 24, 3)
    assert dataset.class_names == files.class_names
    assert dataset.labels.dtype == np.int32 and dataset.labels.tolist() == [0] * 3 + [1] * 4 + [2] * 2


def test_labels_are_numbered_for_the_classes_that_are_there(files):
    some = files.of_classes([2, 0])
    dataset = ImageDataset(some, SETTINGS)
    assert dataset.num_classes == 2 and dataset.class_names == ("class 0", "class 2")
    assert dataset.labels.tolist() == [0] * 3 + [1] * 2
    assert {label for _, labels in batches_of(dataset, 2) for label in labels.tolist()} == {0, 1}


def test_training_batches_are_windows_of_the_samplers_images(dataset, files):
    sampler = ImageSampler(dataset.labels, 2, 3, seed=5)
    for step, (images, labels) in enumerate(batches_of(dataset, 4)):
        indices, expected_labels = next(sampler)
        assert images.dtype == np.float32 and images.shape == (6, 24, 24, 3)
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, expected_labels)
        for image, index, variates in zip(images, indices, variates_of(5, step, 6), strict=True):
            expected = expected_training_image(opened(files.images[index].read_bytes()), variates)
            np.testing.assert_allclose(image, expected, atol=1e-5)


@pytest.mark.parametrize("start_step", [1, 7])
def test_resumed_batches_are_identical(dataset, start_step):
    assert_same_batches(batches_of(dataset, 10 - start_step, start_step=start_step), batches_of(dataset, 10)[start_step:])


def test_batches_do_not_depend_on_the_parallel_calls(dataset, files):
    assert_same_batches(batches_of(ImageDataset(files, SETTINGS, parallel_calls=1), 5), batches_of(dataset, 5))


def test_seed_decides(dataset):
    first, other = batches_of(dataset, 1)[0][0], batches_of(dataset, 1, seed=6)[0][0]
    assert np.abs(first - other).max() > 0.1


def test_parts_are_the_batch_again(dataset):
    whole = batches_of(dataset, 3)
    parts = [batches_of(dataset, 3, part=(number, 3)) for number in range(3)]
    together = [tuple(np.concatenate(values) for values in zip(*of_step, strict=True)) for of_step in zip(*parts, strict=True)]
    assert parts[0][0][0].shape == (2, 24, 24, 3)
    assert_same_batches(together, whole)


def test_evaluation_shows_the_middles_in_order(dataset, files):
    batches = list(dataset.evaluation_batches(4))
    assert [len(images) for images in batches] == [4, 4, 1]
    for image, path in zip(np.concatenate(batches), files.images, strict=True):
        assert image.dtype == np.float32
        np.testing.assert_allclose(image, expected_middle(opened(path.read_bytes())), atol=1e-5)


def test_grey_images_in_memory_keep_their_channel():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 28, 28, 1)).astype(np.uint8)
    whole = Augmentation(resize=28, crop=28, min_side=28, ratio=(1, 1), flip=0)
    dataset = ImageDataset(LabelledImages(pixels, np.arange(7) % 2, ("a", "b")), whole)
    assert dataset.image_shape == (28, 28, 1)
    np.testing.assert_allclose(np.concatenate(list(dataset.evaluation_batches(3))), pixels / 255, rtol=1e-6)
    indices, _ = next(ImageSampler(dataset.labels, 2, 2, seed=1))
    images, _ = batches_of(dataset, 1, samples_per_class=2, seed=1)[0]
    np.testing.assert_allclose(images, pixels[indices] / 255, rtol=1e-6)


def test_draw(dataset, files):
    labels = [2, 0, 0, 0, 2, 2, 0]
    images = dataset.draw(labels, np.random.default_rng(3))
    assert images.shape == (7, 24, 24, 3) and images.dtype == np.float32
    np.testing.assert_array_equal(images, dataset.draw(np.array(labels), np.random.default_rng(3)))
    assert np.abs(images - dataset.draw(labels, np.random.default_rng(4))).max() > 0.1
    batches = list(dataset.draw_batches(labels, np.random.default_rng(3), 3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(batches), images)


def test_draw_takes_different_images_of_a_class():
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    dataset = ImageDataset(LabelledImages(pixels, np.array([0, 0, 0, 0, 1, 1]), ("a", "b")), SETTINGS)
    values = np.rint(dataset.draw([0, 1, 0, 1, 0, 0], np.random.default_rng(0))[:, 0, 0, 0] * 255)
    assert sorted(values[[0, 2, 4, 5]]) == [0, 1, 2, 3] and sorted(values[[1, 3]]) == [4, 5]


def test_broken_images_are_replaced_in_training(broken):
    # After index 1 of class 0 comes 2; after 3 and 4 of class 1 comes 5.
    replacement = {1: 2, 3: 5, 4: 5}
    dataset = ImageDataset(broken, SETTINGS)
    sampler = ImageSampler(dataset.labels, 2, 3, seed=5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = batches_of(dataset, 12)
    times = dict.fromkeys(replacement, 0)
    for step, (images, labels) in enumerate(batches):
        indices, expected_labels = next(sampler)
        np.testing.assert_array_equal(labels, expected_labels)
        for image, index, variates in zip(images, indices, variates_of(5, step, 6), strict=True):
            if index in times:
                times[index] += 1
            path = broken.images[replacement.get(index, index)]
            expected = expected_training_image(opened(path.read_bytes()), variates)
            np.testing.assert_allclose(image, expected, atol=1e-5)
    assert min(times.values()) > 0
    assert dataset.skipped == {str(broken.images[index]): count for index, count in times.items()}
    messages = [str(warning.message) for warning in caught if "is skipped" in str(warning.message)]
    assert len(messages) == 3
    for index, reason in ((1, "truncated"), (3, "it is empty"), (4, "No such file")):
        assert any(str(broken.images[index]) in message and reason in message for message in messages)


@pytest.mark.filterwarnings("ignore:.*is skipped")
def test_replacement_is_the_same_when_resumed(broken):
    whole = batches_of(ImageDataset(broken, SETTINGS), 6)
    assert_same_batches(batches_of(ImageDataset(broken, SETTINGS), 3, start_step=3), whole[3:])


@pytest.mark.filterwarnings("ignore:.*is skipped")
def test_class_without_a_readable_image_is_an_error(broken):
    for index in (5, 6):
        broken.images[index].write_bytes(b"text")
    with pytest.raises(UserError, match="no image of class class 1 can be decoded; .*jpg: .*; mend"):
        batches_of(ImageDataset(broken, SETTINGS), 12)


def test_broken_images_are_errors_in_evaluation(broken):
    batches = ImageDataset(broken, SETTINGS).evaluation_batches(3)
    with pytest.raises(UserError, match=r"1\.jpg: .*truncated"):
        next(batches)
    with pytest.raises(UserError) as caught:
        list(ImageDataset(broken.select([0, 2, 3, 4]), SETTINGS).evaluation_batches(8))
    assert "3.jpg: it is empty; " in str(caught.value) and "4.jpg: No such file" in str(caught.value)
    assert "0.jpg" not in str(caught.value)


def test_what_comes_before_a_broken_image_is_given(broken):
    batches = ImageDataset(broken, SETTINGS).evaluation_batches(1)
    assert next(batches).shape == (1, 24, 24, 3)
    with pytest.raises(UserError, match=r"1\.jpg"):
        next(batches)


def test_names_and_folders_of_every_kind(tmp_path, files):
    names = [" a b.jpg", "Ünïcödé 鳥.jpg", "%20.JPG", "#x?y.jpeg", "no suffix", "new\nline.jpg", "'quo\"te'.png",
             b"not unicode \xff.jpg".decode(errors="surrogateescape"), "*.jpg"]
    odd = image_files(tmp_path / "Bilder für alle", names=names)
    os.chmod(tmp_path / "Bilder für alle", 0o555)
    try:
        for images, expected in zip(
            ImageDataset(odd, SETTINGS).evaluation_batches(9), ImageDataset(files, SETTINGS).evaluation_batches(9), strict=True
        ):
            np.testing.assert_array_equal(images, expected)
    finally:
        os.chmod(tmp_path / "Bilder für alle", 0o755)


def test_relative_paths(files, monkeypatch):
    monkeypatch.chdir(files.images[0].parent)
    relative = LabelledImages(np.array([path.name for path in files.images], object), files.labels, files.class_names)
    np.testing.assert_array_equal(
        next(ImageDataset(relative, SETTINGS).evaluation_batches(9)), next(ImageDataset(files, SETTINGS).evaluation_batches(9))
    )


def test_turned_images_are_cut_upright(tmp_path):
    files = image_files(tmp_path, counts=(2,))
    entries = Image.Exif()
    entries[0x0112] = 6
    image = Image.open(files.images[0]).copy()
    image.save(files.images[0], quality=95, exif=entries)
    middle = next(ImageDataset(files, SETTINGS).evaluation_batches(1))[0]
    pixels = np.rot90(opened(files.images[0].read_bytes()), -1)
    np.testing.assert_allclose(middle, expected_middle(pixels), atol=1e-5)


def test_in_the_pipeline_that_training_makes_of_batches(dataset):
    batches = distribute_batches(build_strategy("one_device"), lambda: dataset.training_batches(2, 3, seed=5), (24, 24, 3), 6)
    given = [tuple(value.numpy() for value in batch) for batch in itertools.islice(batches, 4)]
    assert_same_batches(given, batches_of(dataset, 4))


def test_images_are_decoded_as_they_are_asked_for(files, monkeypatch):
    read = []
    dataset = ImageDataset(files, SETTINGS)
    load = dataset._load

    def counted(index, window_of):
        image = load(index, window_of)
        noted = tf.numpy_function(lambda x: read.append(int(x)) or np.int64(0), [index], tf.int64)
        with tf.control_dependencies([noted]):
            return tf.identity(image)

    monkeypatch.setattr(dataset, "_load", counted)
    batches = dataset.evaluation_batches(1)
    next(batches)
    del batches
    gc.collect()
    assert 1 <= len(set(read)) < len(files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(start_step=-1), "start_step must be"),
        (dict(classes_per_batch=4), "classes_per_batch must be at most"),
        (dict(samples_per_class=0), "samples_per_class must be"),
        (dict(part=(0, 4)), "divides the batch of 6, got \\(0, 4\\)"),
        (dict(part=(2, 2)), "part must be"),
    ],
)
def test_errors_come_before_the_first_batch(dataset, arguments, message):
    with pytest.raises(ValueError, match=message):
        dataset.training_batches(**{**dict(classes_per_batch=2, samples_per_class=3, seed=0), **arguments})


def test_errors(files, dataset):
    pixels = np.zeros((2, 8, 8, 3), np.uint8)
    labels = np.array([0, 1])
    for images, message in (
        (LabelledImages(pixels[:0], labels[:0], ("a", "b")), "at least one image"),
        (LabelledImages(pixels, labels[:1], ("a", "b")), "2 images and 1 labels"),
        (LabelledImages(pixels, labels, ("a",)), "labels must be from 0 to 0, got 1"),
        (LabelledImages(pixels.astype(np.float32), labels, ("a", "b")), "paths .* or uint8 .*, got dtype float32"),
        (LabelledImages(pixels[..., 0], labels, ("a", "b")), "shape \\(2, 8, 8\\)"),
    ):
        with pytest.raises(ValueError, match=message):
            ImageDataset(images, SETTINGS)
    with pytest.raises(ValueError, match="parallel_calls must be"):
        ImageDataset(files, SETTINGS, parallel_calls=0)
    with pytest.raises(ValueError, match="cache_directory is for images in files"):
        ImageDataset(LabelledImages(pixels, labels, ("a", "b")), SETTINGS, cache_directory="cache")
    with pytest.raises(ValueError, match="batch_size must be"):
        dataset.evaluation_batches(0)
    with pytest.raises(ValueError, match="labels must be from 0 to 2, got 3"):
        dataset.draw([3], np.random.default_rng(0))
