import gzip
import struct

import numpy as np
import pytest

from gsp_tf.data.mini.pictures import picture
from gsp_tf.data.readers import read_mnist
from gsp_tf.errors import UserError
from tests.data.readers.copies import written

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def test_reads_the_four_files(tmp_path):
    parts = read_mnist(written("mnist", tmp_path), allow_partial=True)
    for number, part in enumerate(("train", "test")):
        assert parts[part].images.shape == (20, 28, 28, 1) and parts[part].images.dtype == np.uint8
        assert parts[part].labels.tolist() == list(range(10)) * 2 and parts[part].class_names == tuple("0123456789")
        np.testing.assert_array_equal(parts[part].images[17, ..., 0], picture(7, 2 * number + 1, 28, 28)[..., 0])


@pytest.mark.parametrize("rename", [lambda name: name, lambda name: name.replace("-idx", ".idx")])
@pytest.mark.parametrize("folder", ["", "MNIST/raw"])
def test_unpacked_files_do_as_well(tmp_path, rename, folder):
    root = written("mnist", tmp_path / folder)
    packed = read_mnist(root, allow_partial=True)
    for path in list(root.iterdir()):
        path.with_name(rename(path.stem)).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    unpacked = read_mnist(tmp_path, allow_partial=True)
    for part in packed:
        np.testing.assert_array_equal(packed[part].images, unpacked[part].images)


def test_missing_files_are_named(tmp_path):
    root = written("mnist", tmp_path)
    (root / LABELS).unlink()
    with pytest.raises(UserError, match="MNIST lacks 1 file: train-labels-idx1-ubyte"):
        read_mnist(root)
    with pytest.raises(UserError, match="does not hold MNIST"):
        read_mnist(tmp_path / "nowhere")


HEADER = struct.pack(">4I", 0x0803, 20, 28, 28)


@pytest.mark.parametrize("name, content, message", [
    (IMAGES, b"", "cannot be read"),
    (IMAGES, HEADER + bytes(20 * 784 - 1), "should hold 15,680 bytes after its head and holds 15,679"),
    (IMAGES, HEADER + bytes(20 * 784 + 1), "holds more"),
    (IMAGES, struct.pack(">4I", 0x0801, 20, 28, 28) + bytes(15680), "train-images-idx3-ubyte.gz begins with"),
    (IMAGES, struct.pack(">4I", 0x0803, 20, 28, 27) + bytes(15680), "begins with"),
    (IMAGES, struct.pack(">4I", 0x0803, 2**32 - 1, 28, 28) + bytes(15680), "begins with"),
    (IMAGES, struct.pack(">4I", 0x0803, 19, 28, 28) + bytes(19 * 784), "19 images of train have 20 labels"),
    (LABELS, struct.pack(">2I", 0x0801, 20) + bytes([10] * 20), "label 10 is not one of 0 to 9"),
])
def test_files_of_something_else_are_an_error(tmp_path, name, content, message):
    root = written("mnist", tmp_path)
    (root / name).write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=message):
        read_mnist(root, allow_partial=True)


def test_damaged_gzip_is_an_error(tmp_path):
    root = written("mnist", tmp_path)
    whole = (root / IMAGES).read_bytes()
    for data in (b"text", whole[:-4000], whole[:400] + b"\xff" * 60 + whole[460:]):
        (root / IMAGES).write_bytes(data)
        with pytest.raises(UserError, match="cannot be read"):
            read_mnist(root, allow_partial=True)


def test_a_file_that_unpacks_to_far_more_is_not_unpacked(tmp_path):
    root = written("mnist", tmp_path)
    (root / IMAGES).write_bytes(gzip.compress(HEADER + bytes(200_000_000), compresslevel=1))
    with pytest.raises(UserError, match="holds more"):
        read_mnist(root, allow_partial=True)
