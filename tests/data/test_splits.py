import hashlib
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers import READERS, read_cub
from gsp_tf.data.readers.listing import labelled_paths
from gsp_tf.data.splits import conventional_split, fair_splits, split_hash, tuning_splits
from gsp_tf.errors import UserError
from tests.data.readers.copies import written


@pytest.mark.parametrize("num_classes, sizes", [(100, [25, 25, 25, 25]), (98, [25, 25, 24, 24]), (4, [1, 1, 1, 1]),
                                                (11318, [2830, 2830, 2829, 2829]), (3997, [1000, 999, 999, 999])])
def test_fair_partitions_are_contiguous_and_validate_once_each(rng, num_classes, sizes):
    labels = rng.permutation(np.repeat(np.arange(num_classes), 2))
    splits = fair_splits(labels)
    assert [len(split.validation) for split in splits] == sizes
    assert np.concatenate([split.validation for split in splits]).tolist() == list(range(num_classes))
    for split in splits:
        assert sorted([*split.train, *split.validation]) == list(range(num_classes))
        assert split.train.dtype == split.validation.dtype == np.int32 and split.monitor == "validation"


def test_labels_need_not_begin_at_0_nor_be_dense():
    splits = fair_splits(np.array([7, 9, 9, 30, 8, 12, 40], np.int32), folds=3)
    assert [split.validation.tolist() for split in splits] == [[7, 8], [9, 12], [30, 40]]
    assert splits[1].train.tolist() == [7, 8, 30, 40]


@pytest.mark.parametrize("count", [3, 5])
def test_tuning_holds_out_one_of_several_partitions(count):
    splits = tuning_splits(np.arange(20), count)
    assert len(splits) == count
    assert splits[-1].train.tolist() == np.concatenate([split.validation for split in splits[:-1]]).tolist()


def test_the_conventional_split_trains_on_all_and_says_what_monitors():
    split = conventional_split([5, 5, 2, 8])
    assert split.train.tolist() == [2, 5, 8] and split.validation.tolist() == [] and split.monitor == "test"


def test_a_split_cuts_the_training_part_and_leaves_the_others(tmp_path):
    parts = READERS["inshop"](written("inshop", tmp_path, classes=8), allow_partial=True)
    cut = fair_splits(parts["train"].labels)[1].of(parts)
    assert list(cut) == ["train", "validation", "query", "gallery"]
    assert cut["train"].labels.tolist() == [0, 0, 2, 2, 3, 3] and cut["validation"].labels.tolist() == [1, 1]
    assert cut["query"] is parts["query"] and cut["gallery"] is parts["gallery"]
    assert list(conventional_split(parts["train"].labels).of(parts)) == ["train", "query", "gallery"]
    assert len({split_hash(split.of(parts)) for split in fair_splits(parts["train"].labels)} | {split_hash(parts)}) == 5


def test_too_few_classes_or_folds_are_an_error():
    with pytest.raises(UserError, match="3 training classes cannot be cut into 4 partitions"):
        fair_splits([0, 1, 2])
    for wrong in (1, 0, 2.0, True):
        with pytest.raises(ValueError, match="folds must be a whole number of at least 2"):
            fair_splits([0, 1, 2], wrong)
        with pytest.raises(ValueError, match="splits must be a whole number of at least 2"):
            tuning_splits([0, 1, 2], wrong)


def tiny(root, names=("a/1.jpg", "a/2.jpg", "b/1.jpg"), labels=(0, 0, 1), class_names=("a", "b")):
    return {"train": labelled_paths([Path(root, name) for name in names], labels, class_names)}


def test_the_hash_is_of_this_text():
    text = '["train", 3, []]\n["a", "a/1.jpg"]\n["a", "a/2.jpg"]\n["b", "b/1.jpg"]\n'
    assert split_hash(tiny("/data")) == hashlib.sha256(text.encode()).hexdigest()


def test_the_hash_is_the_same_wherever_the_data_are(tmp_path, monkeypatch):
    hashes = set()
    for folder in ("one", "zwei Ä/[x]"):
        root = written("cub", tmp_path / folder)
        monkeypatch.chdir(root)
        for path in (root, root / "CUB_200_2011", ".", "CUB_200_2011"):
            hashes.add(split_hash(read_cub(path, allow_partial=True)))
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    hashes.add(split_hash(read_cub(tmp_path / "link", allow_partial=True)))
    assert len(hashes) == 1


def test_the_hash_tells_splits_apart():
    parts = tiny("/data")
    others = [
        tiny("/data", labels=(0, 1, 1)), tiny("/data", names=("a/1.jpg", "a/3.jpg", "b/1.jpg")),
        tiny("/data", class_names=("a", "c")), {"test": parts["train"]},
        {"train": parts["train"].select([0, 1])}, {"train": parts["train"].select([1, 0, 2])},
        {"train": parts["train"].select([0, 1]), "test": parts["train"].select([2])},
        {"train": parts["train"].select([0]), "test": parts["train"].select([1, 2])},
    ]
    assert len({split_hash(each) for each in [parts, *others]}) == 1 + len(others)
    assert split_hash({"b": parts["train"], "a": others[0]["train"]}) == split_hash(
        {"a": others[0]["train"], "b": parts["train"]})


def test_the_hash_takes_either_form_of_unicode_and_names_that_are_none():
    forms = {split_hash(tiny("/d", (unicodedata.normalize(form, "é/1.jpg"), "b/2.jpg", "b/1.jpg"))) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    names = [("a/1.jpg", "a/2.jpg", f"b/{os.fsdecode(bytes([byte]))}.jpg") for byte in (0xFE, 0xFF)]
    assert len({split_hash(tiny("/d", each)) for each in names}) == 2


def test_the_hash_of_arrays_is_of_their_pixels(rng):
    images = rng.integers(0, 255, (4, 2, 2, 3)).astype(np.uint8)
    labels = np.array([0, 1, 0, 1], np.int32)
    changed = images.copy()
    changed[2, 1, 1, 2] += 1
    variants = (images, np.asfortranarray(images), changed, images.reshape(4, 2, 6, 1))
    hashes = [split_hash({"train": LabelledImages(each, labels, ("a", "b"))}) for each in variants]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3


@pytest.mark.parametrize("name, expected", [
    ("cub", "71945164"), ("cars196", "31c51d99"), ("sop", "48559774"), ("inshop", "bd880baa"),
])
def test_the_hash_of_a_small_data_set_never_changes(tmp_path, name, expected):
    assert split_hash(READERS[name](written(name, tmp_path), allow_partial=True)).startswith(expected)
