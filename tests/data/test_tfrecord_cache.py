import os

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.data import tfrecord_cache
from gsp_tf.data.augmentation import Augmentation
from gsp_tf.data.image_dataset import ImageDataset
from gsp_tf.data.image_loading import file_loader
from gsp_tf.data.tfrecord_cache import cached_loader
from gsp_tf.errors import UserError
from tests.data.image_files import file_bytes, image_files, opened, smooth_pixels, write_images
from tests.reference import image_windows

SIZES = [(48, 64), (64, 48), (32, 40), (20, 90), (7, 9), (33, 33)]
SIDE = 32
each_encoding = pytest.mark.parametrize("encoding", ["jpeg", "raw"])


def whole(height, width):
    return tf.stack([0, 0, height, width])


def loaded(load, indices, window_of=whole):
    """Images of a loader, in a pipeline, where it is used."""
    dataset = tf.data.Dataset.from_tensor_slices(np.array(indices, np.int64)).map(lambda index: load(index, window_of))
    return list(dataset.as_numpy_iterator())


def cache_files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def paths(tmp_path):
    return write_images(tmp_path / "images", SIZES)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "a cache für alle" / "deeper"


@each_encoding
def test_images_have_their_shorter_side_resized(paths, cache, encoding):
    images = loaded(cached_loader(paths, cache, SIDE, encoding), range(len(paths)))
    shapes = [image.shape for image in images]
    # 20 × 90 and 7 × 9 are smaller already.
    assert shapes == [(32, 43, 3), (43, 32, 3), (32, 40, 3), (20, 90, 3), (7, 9, 3), (32, 32, 3)]
    for image, path, size in zip(images, paths, SIZES, strict=True):
        original = opened(path.read_bytes())
        if image.shape[:2] == size:
            expected = original
        else:
            expected = np.rint(tf.image.resize(original, image.shape[:2], antialias=True).numpy())
        assert np.abs(image - expected).max() <= (0 if encoding == "raw" else 20)
        assert np.abs(image - expected).mean() <= (0 if encoding == "raw" else 4)


def test_square_image_is_resized_as_the_formula_says(paths, cache):
    image = loaded(cached_loader(paths, cache, SIDE, "raw"), [5])[0]
    expected = image_windows.antialiased(opened(paths[5].read_bytes()), SIDE)
    assert np.abs(image - expected).max() <= 0.51


@each_encoding
def test_windows_in_any_order(paths, cache, encoding):
    load = cached_loader(paths, cache, SIDE, encoding)
    order = [5, 0, 0, 3, 1, 4, 2]
    windows = loaded(load, order, lambda height, width: tf.stack([height // 2, width // 4, 2, 3]))
    for window, image in zip(windows, loaded(load, order), strict=True):
        top, left = image.shape[0] // 2, image.shape[1] // 4
        np.testing.assert_array_equal(window, image[top : top + 2, left : left + 3])


@each_encoding
def test_second_time_the_cache_is_read_and_not_written(paths, cache, encoding, monkeypatch):
    first = loaded(cached_loader(paths, cache, SIDE, encoding), range(6))
    written = (cache / cache_files(cache)[0]).stat().st_mtime_ns
    monkeypatch.setattr(tfrecord_cache, "_write", None)
    for image, expected in zip(loaded(cached_loader(paths, cache, SIDE, encoding), range(6)), first, strict=True):
        np.testing.assert_array_equal(image, expected)
    assert (cache / cache_files(cache)[0]).stat().st_mtime_ns == written


def test_settings_paths_and_changed_files_have_caches_of_their_own(paths, cache):
    cached_loader(paths, cache, SIDE)
    for count, arguments in enumerate([(paths, cache, SIDE, "raw"), (paths, cache, 16), (paths[:5], cache, SIDE)], 2):
        cached_loader(*arguments)
        assert len(cache_files(cache)) == count
    paths[2].write_bytes(file_bytes(smooth_pixels(40, 40, seed=99)))
    image = loaded(cached_loader(paths, cache, SIDE, "raw"), [2])[0]
    assert image.shape == (32, 32, 3) and len(cache_files(cache)) == 5
    os.utime(paths[0], ns=(1, 1))
    cached_loader(paths, cache, SIDE)
    assert len(cache_files(cache)) == 6


def test_order_of_the_paths_matters(paths, cache):
    cached_loader(paths, cache, SIDE, "raw")
    turned = loaded(cached_loader(paths[::-1], cache, SIDE, "raw"), [0])[0]
    np.testing.assert_array_equal(turned, loaded(cached_loader(paths, cache, SIDE, "raw"), [5])[0])


@pytest.mark.parametrize("cut", ["half", "a byte", "a record", "all", "zeros", "text"])
def test_damaged_cache_is_written_anew(paths, cache, cut):
    expected = loaded(cached_loader(paths, cache, SIDE), range(6))
    file = cache / cache_files(cache)[0]
    contents = file.read_bytes()
    damaged = {
        "half": contents[: len(contents) // 2],
        "a byte": contents[:-1],
        "a record": contents[: len(contents) - 16 - int.from_bytes(contents[_last_record(contents) :][:8], "little")],
        "all": b"",
        "zeros": bytes(len(contents)),
        "text": b"x" * 1000,
    }[cut]
    assert damaged != contents
    file.write_bytes(damaged)
    for image, before in zip(loaded(cached_loader(paths, cache, SIDE), range(6)), expected, strict=True):
        np.testing.assert_array_equal(image, before)
    assert file.read_bytes() == contents


def _last_record(contents):
    start = 0
    while True:
        end = start + 16 + int.from_bytes(contents[start : start + 8], "little")
        if end == len(contents):
            return start
        start = end


def test_cache_of_another_key_is_written_anew(paths, cache):
    load = cached_loader(paths, cache, SIDE, "raw")
    expected = loaded(load, [0])[0]
    name = cache_files(cache)[0]
    cached_loader(paths[::-1], cache, SIDE, "raw")
    other = next(file for file in cache_files(cache) if file != name)
    os.replace(cache / other, cache / name)
    np.testing.assert_array_equal(loaded(cached_loader(paths, cache, SIDE, "raw"), [0])[0], expected)


@each_encoding
def test_changed_byte_is_found_when_it_is_read(paths, cache, encoding):
    load = cached_loader(paths, cache, SIDE, encoding)
    file = cache / cache_files(cache)[0]
    contents = bytearray(file.read_bytes())
    contents[-200] ^= 1
    file.write_bytes(contents)
    loaded(load, range(5))
    with pytest.raises(tf.errors.DataLossError):
        loaded(load, [5])


def test_what_was_killed_leaves_no_cache(paths, cache, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            cached_loader(paths, cache, SIDE)
    assert cache_files(cache) == []


def test_broken_image_fails_alone_and_as_without_a_cache(tmp_path):
    files = image_files(tmp_path / "images")
    files.images[1].write_bytes(b"text")
    load = cached_loader(files.images, tmp_path / "cache", SIDE)
    loaded(load, [0, *range(2, 9)])
    for loader in (load, file_loader(files.images)):
        with pytest.raises(tf.errors.OpError):
            loaded(loader, [1])
    settings = Augmentation(resize=32, crop=24, min_side=16)
    dataset = ImageDataset(files, settings, cache_directory=tmp_path / "cache")
    with pytest.raises(UserError, match=r"1\.jpg: it is no image"):
        list(dataset.evaluation_batches(9))
    batches = dataset.training_batches(3, 3, seed=0)
    with pytest.warns(UserWarning, match=r"1\.jpg is skipped"):
        next(batches)
    assert sum(dataset.skipped.values()) == 1


def test_dataset_of_a_cache_is_that_of_the_files_but_for_encoding(tmp_path):
    files = image_files(tmp_path / "images")
    settings = Augmentation(resize=48, crop=40, min_side=24)
    plain, cached = ImageDataset(files, settings), ImageDataset(files, settings, cache_directory=tmp_path / "cache")
    assert len(cache_files(tmp_path / "cache")) == 1
    for first, second in (
        (next(plain.training_batches(3, 2, seed=0))[0], next(cached.training_batches(3, 2, seed=0))[0]),
        (next(plain.evaluation_batches(9)), next(cached.evaluation_batches(9))),
    ):
        assert 0 < np.abs(first - second).mean() < 0.01


def test_errors(paths, tmp_path, cache):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="the image cache .*file.* cannot be written: .*; name another folder"):
        cached_loader(paths, tmp_path / "file", SIDE)
    with pytest.raises(UserError, match="none.jpg cannot be read: No such file"):
        cached_loader([*paths, tmp_path / "none.jpg"], cache, SIDE)
    with pytest.raises(ValueError, match="encoding must be one of jpeg, raw, got 'png'"):
        cached_loader(paths, cache, SIDE, "png")
    with pytest.raises(ValueError, match="side must be"):
        cached_loader(paths, cache, 0)


def test_folder_that_may_be_read_only_serves_its_cache(paths, cache):
    expected = loaded(cached_loader(paths, cache, SIDE), [0])[0]
    os.chmod(cache, 0o555)
    try:
        np.testing.assert_array_equal(loaded(cached_loader(paths, cache, SIDE), [0])[0], expected)
        if os.geteuid() != 0:  # whom permissions do not bind
            with pytest.raises(UserError, match="cannot be written"):
                cached_loader(paths, cache, 16)
    finally:
        os.chmod(cache, 0o755)
