"""A small CIFAR-10 and CIFAR-100. Their classes are always all of them: the names come with the data sets."""

import pickle
from pathlib import Path

import numpy as np

from gsp_tf.data.mini.pictures import picture
from gsp_tf.data.readers.cifar import CIFAR10, CIFAR100, SIZE

_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SUPER_CLASSES = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)


def write_cifar10(path: Path, classes: int, images_per_class: int) -> None:
    """Writes `cifar-10-batches-py/`: `images_per_class` images of each of the 10 classes in every batch."""
    root = path / CIFAR10.folder
    batches = [*CIFAR10.parts["train"], *CIFAR10.parts["test"]]
    for number, name in enumerate(batches):
        images, labels = _images(len(_NAMES), range(number * images_per_class, (number + 1) * images_per_class))
        _write(root / name, {b"batch_label": name.encode(), b"labels": labels, b"data": images})
    _write(root / CIFAR10.meta, {b"num_cases_per_batch": len(labels), b"label_names": [n.encode() for n in _NAMES]})


def write_cifar100(path: Path, classes: int, images_per_class: int) -> None:
    """Writes `cifar-100-python/`: `images_per_class` images of each of the 100 classes in both parts.

    The super-classes have their official names and, as officially, five classes each, though not the official ones.
    """
    root = path / CIFAR100.folder
    names = [f"class_{label:02d}".encode() for label in range(100)]
    super_names = [name.encode() for name in _SUPER_CLASSES]
    for number, name in enumerate(("train", "test")):
        images, labels = _images(100, range(number * images_per_class, (number + 1) * images_per_class))
        coarse = [label % len(_SUPER_CLASSES) for label in labels]
        _write(root / name, {b"fine_labels": labels, b"coarse_labels": coarse, b"data": images})
    _write(root / CIFAR100.meta, {b"fine_label_names": names, b"coarse_label_names": super_names})


def _images(classes: int, indices: range) -> tuple[np.ndarray, list[int]]:
    """Rows of planes, and labels, in an order that mixes the classes."""
    labels = [label for _ in indices for label in range(classes)]
    pictures = [picture(label, index, SIZE, SIZE) for index in indices for label in range(classes)]
    return np.stack(pictures).transpose(0, 3, 1, 2).reshape(len(labels), -1), labels


def _write(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # As of Python 2, which wrote the official files.
    path.write_bytes(pickle.dumps(values, protocol=2))
