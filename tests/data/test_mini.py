import filecmp

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.data.mini import MINIS, make_mini
from gsp_tf.data.mini.pictures import picture
from gsp_tf.data.readers import READERS
from gsp_tf.errors import UserError


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", MINIS)
def test_the_same_arguments_write_the_same_images(tmp_path, name):
    for folder in ("one", "two"):
        make_mini(name, tmp_path / folder, classes=3, images_per_class=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    # The head of a MATLAB file holds the time of writing.
    names = [file for file in files(tmp_path / "one") if not file.endswith(".mat")]
    assert filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", names, shallow=False) == (names, [], [])


@pytest.mark.parametrize("name", ["cub", "cars196", "cars196_devkit", "sop", "inshop", "folder"])
def test_images_are_those_of_their_class_and_all_different(tmp_path, name):
    make_mini(name, tmp_path, classes=4, images_per_class=4)
    parts = READERS[name.removesuffix("_devkit")](tmp_path, allow_partial=True)
    contents = [path.read_bytes() for part in parts.values() for path in part.images]
    assert len(set(contents)) == 16
    for part in parts.values():
        assert len(np.unique(part.labels)) == 2 and len(part) in (4, 8)
        for path, label in zip(part.images, part.labels, strict=True):
            image = tf.io.decode_jpeg(path.read_bytes()).numpy().astype(int)
            assert sorted(image.shape) == [3, 48, 64]
            # Of every picture of the right class, one is this one but for the losses of JPEG.
            errors = [np.abs(image - picture(int(label), index, *image.shape[:2])).mean() for index in range(4)]
            assert min(errors) < 15 < sorted(errors)[1]


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError, match="exists and is not an empty folder"):
            make_mini("cub", path)
    assert files(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("arguments, error, message", [
    ({"name": "birds"}, UserError, "there is no small data set 'birds'; there are cub, cars196"),
    ({"classes": 1}, ValueError, "classes must be a whole number of at least 2"),
    ({"images_per_class": 0}, ValueError, "images_per_class must be a whole number of at least 2"),
])
def test_other_arguments_are_an_error(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        make_mini(**{"name": "cub", "path": tmp_path / "new", **arguments})
    assert not (tmp_path / "new").exists()
