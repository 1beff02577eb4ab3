import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from gsp_tf.data.mini.pictures import picture
from gsp_tf.data.readers import read_cifar10, read_cifar100, read_cifar100_super_classes
from gsp_tf.errors import UserError
from tests.data.readers.copies import written

FOLDER = "cifar-10-batches-py"


def archive(path, members):
    """Write a .tar.gz of (TarInfo or name, bytes)."""
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members:
            member = tarfile.TarInfo(member) if isinstance(member, str) else member
            if member.isreg():
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def batches(root):
    return [(f"{FOLDER}/{path.name}", path.read_bytes()) for path in sorted((root / FOLDER).iterdir())]


def test_cifar10(tmp_path):
    parts = read_cifar10(written("cifar10", tmp_path), allow_partial=True)
    train, test = parts["train"], parts["test"]
    assert train.images.shape == (100, 32, 32, 3) and test.images.shape == (20, 32, 32, 3)
    assert type(train.images) is np.ndarray and train.images.dtype == np.uint8 and train.labels.dtype == np.int32
    assert train.labels.tolist() == list(range(10)) * 10 and test.labels.tolist() == list(range(10)) * 2
    assert train.class_names == test.class_names and train.class_names[3] == "cat"
    np.testing.assert_array_equal(train.images[23], picture(3, 2, 32, 32))
    np.testing.assert_array_equal(test.images[10], picture(0, 11, 32, 32))


def test_cifar100_has_the_fine_labels(tmp_path):
    parts = read_cifar100(written("cifar100", tmp_path), allow_partial=True)
    assert parts["train"].labels.tolist() == list(range(100)) * 2
    assert parts["test"].class_names[42] == "class_42" and len(parts["test"].class_names) == 100
    np.testing.assert_array_equal(parts["test"].images[142], picture(42, 3, 32, 32))


def test_the_archive_is_read_as_it_is(tmp_path):
    root = written("cifar10", tmp_path / "extracted")
    archive(tmp_path / "cifar-10-python.tar.gz", batches(root))
    before = sorted(tmp_path.rglob("*"))
    expected = read_cifar10(root, allow_partial=True)
    for path in (root / FOLDER, tmp_path, tmp_path / "cifar-10-python.tar.gz"):
        found = read_cifar10(path, allow_partial=True)
        assert all((found[part].images == expected[part].images).all() for part in expected)
        assert found["train"].labels.tolist() == expected["train"].labels.tolist()
    assert sorted(tmp_path.rglob("*")) == before


def test_members_that_lead_elsewhere_are_neither_written_nor_followed(tmp_path):
    root = written("cifar10", tmp_path / "extracted")
    secret = tmp_path / "secret"
    secret.write_bytes((root / FOLDER / "test_batch").read_bytes())
    link = tarfile.TarInfo(f"{FOLDER}/test_batch")
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    evil = [(f"{FOLDER}/../../escaped", b"x"), (str(tmp_path / "absolute"), b"x"), (f"../{FOLDER}/test_batch", b"x")]
    archive(tmp_path / "cifar-10-python.tar.gz",
            [*evil, *[member for member in batches(root) if "test_batch" not in member[0]], (link, b"")])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="CIFAR-10 lacks 1 file: test_batch"):
        read_cifar10(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before and not (tmp_path.parent / "escaped").exists()


def test_missing_batches_are_named_or_left_out(tmp_path):
    root = written("cifar10", tmp_path)
    for number in (2, 5):
        (root / FOLDER / f"data_batch_{number}").unlink()
    with pytest.raises(UserError, match="lacks 2 files: data_batch_2, data_batch_5"):
        read_cifar10(root)
    with pytest.warns(UserWarning, match="lacks 2 files"):
        assert len(read_cifar10(root, allow_partial=True)["train"]) == 60
    (root / FOLDER / "test_batch").unlink()
    with pytest.warns(UserWarning), pytest.raises(UserError, match="the part test of CIFAR-10 has no image"):
        read_cifar10(root, allow_partial=True)
    (root / FOLDER / "batches.meta").unlink()
    with pytest.raises(UserError, match="batches.meta is missing"):
        read_cifar10(root)
    with pytest.raises(UserError, match="neither cifar-10-batches-py/ nor cifar-10-python.tar.gz"):
        read_cifar10(tmp_path / "nowhere")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["batches.meta", "data_batch_3"])
def test_a_batch_that_runs_something_is_refused(tmp_path, name):
    root = written("cifar10", tmp_path)
    payload = Payload(str(tmp_path / "made"))
    (root / FOLDER / name).write_bytes(pickle.dumps({b"data": payload, b"labels": [], b"label_names": []}, 2))
    with pytest.raises(UserError, match=rf"{name} is not a file of arrays and labels .it asks for posix.mkdir"):
        read_cifar10(root, allow_partial=True)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("values, message", [
    ([1], "holds no dictionary"),
    ({b"labels": [1]}, "has no uint8 array data of rows of 3072"),
    ({b"data": np.zeros((1, 3072)), b"labels": [1]}, "has no uint8 array"),
    ({b"data": np.zeros((1, 3071), np.uint8), b"labels": [1]}, "has no uint8 array"),
    ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, "has no list labels of 2 whole numbers"),
    ({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["1"]}, "has no list labels of 1 whole numbers"),
    ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}, "label 10 is not one of 0 to 9"),
])
def test_a_batch_of_something_else_is_an_error(tmp_path, values, message):
    root = written("cifar10", tmp_path)
    (root / FOLDER / "data_batch_1").write_bytes(pickle.dumps(values, 2))
    with pytest.raises(UserError, match=message):
        read_cifar10(root, allow_partial=True)


def test_damaged_archives_are_an_error(tmp_path):
    root = written("cifar10", tmp_path / "extracted")
    path = tmp_path / "cifar-10-python.tar.gz"
    archive(path, batches(root))
    whole = path.read_bytes()
    for data in (b"", b"text", whole[: len(whole) // 2], whole[:5000] + b"\0" * 50 + whole[5050:]):
        path.write_bytes(data)
        with pytest.raises(UserError):
            read_cifar10(path, allow_partial=True)


def change_cifar100(root, name, **values):
    """Change values of one of the files, by the names of their keys."""
    path = root / "cifar-100-python" / name
    old = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**old, **{key.encode(): value for key, value in values.items()}}, 2))


def test_super_classes_of_cifar100(tmp_path):
    root = written("cifar100", tmp_path)
    found = read_cifar100_super_classes(root)
    assert list(found) == [f"class_{label:02d}" for label in range(100)]
    names = sorted(set(found.values()))
    assert len(names) == 20 and {list(found.values()).count(name) for name in names} == {5}
    assert {"flowers", "trees", "large_man-made_outdoor_things", "large_natural_outdoor_scenes"} < set(names)
    assert found["class_01"] == found["class_81"] == "fish" and found["class_02"] == "flowers"
    # One part is enough to know them by.
    (root / "cifar-100-python" / "train").unlink()
    assert read_cifar100_super_classes(root) == found


@pytest.mark.parametrize("name, values, message", [
    ("test", {"coarse_labels": [0] + [label % 20 for label in range(1, 199)] + [3]},
     "class_99 must have one super-class and has food_containers and vehicles_2"),
    ("test", {"coarse_labels": [20] + [label % 20 for label in range(1, 200)]}, "test: label 20 is not one of 0 to 19"),
    ("train", {"fine_labels": [100] + [label % 100 for label in range(1, 200)]}, "label 100 is not one of 0 to 99"),
    ("train", {"coarse_labels": [0] * 199}, "train has no list coarse_labels of 200 whole numbers"),
    ("train", {"coarse_labels": None}, "train has no list coarse_labels of 200 whole numbers"),
    ("train", {"data": 3}, "train has no uint8 array"),
    ("meta", {"coarse_label_names": None}, "meta has no list coarse_label_names"),
    ("meta", {"fine_label_names": [b"name"] * 101}, "name must have one super-class and has none, for it has no image"),
])
def test_super_classes_that_contradict_each_other_are_an_error(tmp_path, name, values, message):
    root = written("cifar100", tmp_path)
    change_cifar100(root, name, **values)
    with pytest.raises(UserError, match=message):
        read_cifar100_super_classes(root)
