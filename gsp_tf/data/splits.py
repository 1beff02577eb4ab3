"""Which training classes are trained on and which validate, and a hash that names a split on every machine."""

import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gsp_tf.data.checks import check_whole_number
from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.errors import UserError

SPLITS = ("fair", "tuning", "conventional")


class ClassSplit(NamedTuple):
    """A split of the classes of the training part.

    Attributes:
        train: int32 array of the classes to train on.
        validation: int32 array of the classes that validate; empty where the test part monitors training.
        monitor: "validation" or "test": the part that chooses when to stop and which weights to keep.
    """

    train: np.ndarray
    validation: np.ndarray
    monitor: str

    def of(self, parts: Mapping[str, LabelledImages]) -> dict[str, LabelledImages]:
        """The parts of a data set, "train" cut into "train" and "validation"; the others as they are."""
        cut = {"train": parts["train"].of_classes(self.train)}
        if len(self.validation):
            cut["validation"] = parts["train"].of_classes(self.validation)
        return {**cut, **{name: part for name, part in parts.items() if name not in ("train", "validation")}}


def fair_splits(labels, folds: int = 4) -> tuple[ClassSplit, ...]:
    """Splits of the fair protocol: each of `folds` contiguous partitions of the classes validates once.

    The classes in increasing order are cut into partitions whose sizes differ by at most one, the larger ones first:
    100 classes into 4 × 25, 98 into 25, 25, 24 and 24. Fold f trains on all partitions but the f-th.

    Args:
        labels: integers (N,), of the training part.
        folds: number of partitions, at least 2.

    Returns:
        `folds` of `ClassSplit`, monitored on their validation classes.

    Raises:
        UserError: fewer classes than folds.
        ValueError: a number out of range.

    Example:
        >>> [split.validation.tolist() for split in fair_splits([0, 1, 2, 3, 4, 4], folds=4)]
        [[0, 1], [2], [3], [4]]

    Source: K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020.
    """
    folds = check_whole_number("folds", folds, minimum=2)
    classes = _classes(labels)
    if len(classes) < folds:
        raise UserError(f"{len(classes)} training classes cannot be cut into {folds} partitions; take fewer folds, or "
                        "a data set with more classes")
    partitions = np.array_split(classes, folds)
    return tuple(ClassSplit(np.setdiff1d(classes, held_out), held_out, "validation") for held_out in partitions)


def tuning_splits(labels, splits: int = 5) -> tuple[ClassSplit, ...]:
    """Splits for tuning parameters: the classes are cut into `splits` contiguous partitions; one validates.

    The protocol trains one model, on all partitions but one; the paper cuts 5, the thesis 3. Which one is held out
    is for the caller to choose.

    Args:
        labels: integers (N,), of the training part.
        splits: number of partitions, at least 2.

    Returns:
        `splits` of `ClassSplit`, the f-th with the f-th partition held out.

    Raises:
        UserError: fewer classes than splits.
        ValueError: a number out of range.
    """
    return fair_splits(labels, check_whole_number("splits", splits, minimum=2))


def class_split(labels, split: str, fold: int = 0, folds: int | None = None) -> ClassSplit:
    """The split of a name.

    Args:
        labels: integers (N,), of the training part.
        split: "fair", "tuning" or "conventional".
        fold: which partition validates, for the first two.
        folds: number of partitions, for the first two; 4 and 5 by default.

    Returns:
        A `ClassSplit`.

    Raises:
        ValueError: another name, or a number out of range.
        UserError: fewer classes than folds.
    """
    if check_split(split) == "conventional":
        return conventional_split(labels)
    cut, usual = {"fair": (fair_splits, 4), "tuning": (tuning_splits, 5)}[split]
    splits = cut(labels, usual if folds is None else check_whole_number("folds", folds, minimum=2))
    if check_whole_number("fold", fold, minimum=0) >= len(splits):
        raise ValueError(f"fold must be below the number of partitions, {len(splits)}; got {fold}")
    return splits[fold]


def check_split(split: str) -> str:
    """`split` itself if it is one of `SPLITS`, else a ValueError."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}; got {split!r}")
    return split


def conventional_split(labels) -> ClassSplit:
    """The split of the conventional protocol: every training class trains, and the test part monitors.

    The test part then chooses the model, which every output should say.

    Args:
        labels: integers (N,), of the training part.

    Returns:
        A `ClassSplit` without validation classes.

    Example:
        >>> split = conventional_split([3, 1, 1])
        >>> split.train.tolist(), split.validation.tolist(), split.monitor
        ([1, 3], [], 'test')

    Source: H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese, "Deep Metric Learning via Lifted Structured Feature
    Embedding", CVPR 2016.
    """
    return ClassSplit(_classes(labels), np.empty(0, np.int32), "test")


def split_hash(parts: Mapping[str, LabelledImages]) -> str:
    """SHA-256 of what is in which part and of which class, equal on every machine.

    It covers the names of the parts, in alphabetical order, and, image by image in order, the name of its class and
    its file: the path relative to the folder that all images are in, with "/", in Unicode's composed form. Where the
    data set is on disk does not change it, nor does what the files hold. Images that are arrays have no name; there
    the pixels are hashed.

    Args:
        parts: dict from part name to `LabelledImages`.

    Returns:
        64 hexadecimal digits.
    """
    paths = [os.path.abspath(path) for part in parts.values() if part.images.dtype == object for path in part.images]
    root = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    digest = hashlib.sha256()
    for name, part in sorted(parts.items()):
        digest.update(_line(name, len(part), list(part.images.shape[1:])))
        for image, label in zip(part.images, part.labels, strict=True):
            file = os.path.relpath(os.path.abspath(image), root).replace(os.sep, "/") if paths else ""
            digest.update(_line(part.class_names[label], file))
        if not paths:
            digest.update(np.ascontiguousarray(part.images).tobytes())
    return digest.hexdigest()


def _line(*values) -> bytes:
    text = unicodedata.normalize("NFC", json.dumps(values, ensure_ascii=False))
    # A file name that is no Unicode keeps its bytes.
    return text.encode("utf-8", "surrogateescape") + b"\n"


def _classes(labels) -> np.ndarray:
    return np.unique(np.asarray(labels, dtype=np.int32))
