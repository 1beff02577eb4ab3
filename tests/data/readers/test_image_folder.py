import os

import pytest

from gsp_tf.data.readers import read_folder
from gsp_tf.errors import UserError
from tests.data.readers.copies import relative, written


def classes(parts):
    return {part: sorted({images.class_names[label][-1] for label in images.labels}) for part, images in parts.items()}


@pytest.mark.parametrize("options, expected", [
    ({}, {"train": ["1", "2", "3"], "test": ["4", "5", "6"]}),
    ({"test": 0.34, "validation": 0.17}, {"train": ["1", "2", "3"], "validation": ["4"], "test": ["5", "6"]}),
    ({"test": 0, "validation": 0.5}, {"train": ["1", "2", "3"], "validation": ["4", "5", "6"]}),
    ({"test": 0}, {"train": ["1", "2", "3", "4", "5", "6"]}),
    ({"test": ["class 001", "class 005"]}, {"train": ["2", "3", "4", "6"], "test": ["1", "5"]}),
    ({"test": ("class 006",), "validation": 0.34}, {"train": ["1", "2", "3"], "validation": ["4", "5"], "test": ["6"]}),
    ({"test": 0.34, "validation": ["class 006"]}, {"train": ["1", "2", "3"], "validation": ["6"], "test": ["4", "5"]}),
])
def test_classes_are_split_by_fraction_or_by_list(tmp_path, options, expected):
    parts = read_folder(written("folder", tmp_path, classes=6), **options)
    assert list(parts) == list(expected) and classes(parts) == expected
    assert all(len(images) == 2 * len(expected[part]) for part, images in parts.items())
    assert len({images.class_names for images in parts.values()}) == 1


@pytest.mark.parametrize("options, message", [
    ({"test": 1.0}, "test must be a fraction of the classes, at least 0 and below 1"),
    ({"validation": -0.1}, "validation must be a fraction"),
    ({"test": True}, "test must be a fraction"),
    ({"test": float("nan")}, "test must be a fraction"),
    ({"test": "class 001"}, "test must be a fraction of the classes or a list of class names"),
    ({"test": ["class 1"]}, "test: .* has no class 'class 1'; it has 'class 001', 'class 002', "),
    ({"test": ["class 001"], "validation": ["class 001"]}, "both have the class class 001"),
    ({"test": 0.5, "validation": 0.5}, "has 4 classes, of which 0 are left to train on and 2 to test on"),
    ({"test": 0.05}, "of which 4 are left to train on and 0 to test on"),
])
def test_other_splits_are_an_error(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        read_folder(written("folder", tmp_path), **options)


def test_images_may_lie_deeper_and_the_rest_is_passed_over(tmp_path):
    root = written("folder", tmp_path, classes=2)
    first = root / "class 001"
    (first / "b" / "deep").mkdir(parents=True)
    (first / "image 001.jpg").rename(first / "b" / "deep" / "Ä 鳥.JPeG")
    for name in ("notes.txt", ".hidden.jpg", "._image 002.jpg", "jpg"):
        (first / name).write_bytes(b"")
    (first / ".ipynb_checkpoints").mkdir()
    (first / ".ipynb_checkpoints" / "copy.jpg").write_bytes(b"")
    (root / ".cache").mkdir()
    (root / "labels.csv").write_bytes(b"")
    os.symlink(root, first / "round", target_is_directory=True)
    parts = read_folder(root)
    assert relative(parts["train"], first) == ["b/deep/Ä 鳥.JPeG", "image 002.jpg"]
    assert parts["train"].class_names == ("class 001", "class 002")


def test_a_folder_without_classes_is_an_error(tmp_path):
    with pytest.raises(UserError, match="has 0 classes, of which 0 are left to train on"):
        read_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    written("folder", tmp_path / "data", classes=2)
    (tmp_path / "data" / "class 003").mkdir()
    with pytest.raises(UserError, match="class 003/ has no image"):
        read_folder(tmp_path / "data")
    with pytest.raises(UserError, match="is not a folder"):
        read_folder(tmp_path / "nowhere")


def test_parts_are_no_classes(tmp_path):
    for part in ("train", "Val"):
        written("folder", tmp_path / part, classes=2)
    with pytest.raises(UserError, match="has the sub-folders Val, train, which are parts and not classes"):
        read_folder(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="names are Unicode elsewhere")
def test_a_name_that_is_no_unicode_is_read(tmp_path):
    root = written("folder", tmp_path, classes=2)
    name = os.fsdecode(b"\xff\xfe.jpg")
    try:
        (root / "class 001" / "image 001.jpg").rename(root / "class 001" / name)
    except OSError:
        pytest.skip("this disk takes Unicode names only")
    parts = read_folder(root)
    assert [path.name for path in parts["train"].images] == ["image 002.jpg", name]
