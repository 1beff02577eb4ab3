"""What a data set's own lists say, before it is known whether the files are there."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gsp_tf.data.labelled_images import LabelledImages


class Listing(NamedTuple):
    """The parts of a data set as its lists give them.

    Attributes:
        root: folder that every path of the parts is below.
        parts: dict from part name to `LabelledImages`, in the lists' order.
        missing: names of missing files that hold many images each, such as a CIFAR batch.
        problems: sentences about labels and names that contradict each other.
    """

    root: Path
    parts: dict[str, LabelledImages]
    missing: Sequence[str] = ()
    problems: Sequence[str] = ()


def labelled_paths(paths: Sequence[Path], labels: Sequence[int], class_names: Sequence[str]) -> LabelledImages:
    """Paths and labels as `LabelledImages`."""
    images = np.empty(len(paths), dtype=object)
    images[:] = paths
    return LabelledImages(images, np.array(labels, dtype=np.int32), tuple(class_names))


def halves(images: LabelledImages) -> dict[str, LabelledImages]:
    """Training images, of the first half of the classes, and test images, of the second."""
    half = len(images.class_names) // 2
    return {"train": images.select(images.labels < half), "test": images.select(images.labels >= half)}


def repeated(paths: Sequence[Path], root: Path) -> list[str]:
    """A sentence for each path that is listed more than once."""
    seen, twice = set(), set()
    for path in paths:
        (twice if path in seen else seen).add(path)
    return [f"{path.relative_to(root).as_posix()} is listed twice" for path in sorted(twice)]
