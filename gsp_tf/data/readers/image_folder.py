"""Any folder with a sub-folder of images per class."""

import os
from collections.abc import Sequence
from numbers import Real
from pathlib import Path

import numpy as np

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.archive import Archive, named, read
from gsp_tf.data.readers.listing import Listing, labelled_paths
from gsp_tf.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
TREE = """\
first class/*.jpg  (or .jpeg, .png, .bmp, .gif, in capitals too)
second class/*.png
..."""
# Folders of these names are parts of a data set, and not classes.
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def list_folder(path, test=0.5, validation=0.0) -> Listing:
    """The images of a folder; see `read_folder`."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; give the one that has a sub-folder per class")
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if names and {name.lower() for name in names} <= _PARTS:
        raise UserError(f"{root} has the sub-folders {', '.join(names)}, which are parts and not classes; give one of "
                        "them, or put all classes into one folder: test and validation say how they are split")
    chosen = _parts(names, test, validation, root)
    paths, labels, problems = [], [], []
    for label, name in enumerate(names):
        found = _images(root / name)
        if not found:
            problems.append(f"{name}/ has no image ({', '.join(SUFFIXES)})")
        paths.extend(found)
        labels.extend([label] * len(found))
    images = labelled_paths(paths, labels, names)
    return Listing(root, {part: images.of_classes(classes) for part, classes in chosen.items()}, problems=problems)


def _parts(names: list[str], test, validation, root: Path) -> dict[str, np.ndarray]:
    """Indices of the classes of each part. Fractions take from the end: test the last classes, validation before."""
    given = {"validation": validation, "test": test}
    taken = {part: [names.index(name) for name in _class_names(part, value, names, root)]
             for part, value in given.items() if not isinstance(value, Real)}
    both = sorted(set(taken.get("test", ())) & set(taken.get("validation", ())))
    if both:
        raise UserError(f"{root}: test and validation both have the class {names[both[0]]}; a class is in one part")
    free = [index for index in range(len(names)) if not any(index in chosen for chosen in taken.values())]
    for part in ("test", "validation"):
        if isinstance(given[part], Real):
            count = _count(part, given[part], len(names))
            taken[part] = free[max(len(free) - count, 0):]
            free = free[: max(len(free) - count, 0)]
    parts = {"train": free, **{part: sorted(taken[part]) for part in given if taken[part]}}
    if not free or (given["test"] and "test" not in parts):
        raise UserError(f"{root} has {len(names)} classes, of which {len(free)} are left to train on and "
                        f"{len(taken['test'])} to test on; change test and validation, or add classes")
    return {part: np.array(classes) for part, classes in parts.items()}


def _count(part: str, fraction, classes: int) -> int:
    if isinstance(fraction, bool) or not 0 <= fraction < 1:
        raise UserError(f"{part} must be a fraction of the classes, at least 0 and below 1, or a list of class names; "
                        f"got {fraction!r}")
    return round(fraction * classes)


def _class_names(part: str, value, names: list[str], root: Path) -> Sequence[str]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise UserError(f"{part} must be a fraction of the classes or a list of class names; got {value!r}")
    unknown = [repr(name) for name in value if name not in names]
    if unknown:
        raise UserError(f"{part}: {root} has no class {named(unknown)}; it has {named(map(repr, names))}")
    return value


def _images(folder: Path) -> list[Path]:
    found = []
    # Links to folders are not followed, so that none leads round in a circle.
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(Path(parent, name) for name in files
                     if name.lower().endswith(SUFFIXES) and not name.startswith("."))
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


ARCHIVE = Archive("folder", "a folder with a sub-folder per class", TREE, {}, list_folder)


def read_folder(path, allow_partial: bool = False, test=0.5, validation=0.0) -> dict[str, LabelledImages]:
    """Reads a folder with a sub-folder per class, split by class.

    Args:
        path: the folder. Images may lie deeper in their class's folder; hidden files and folders are passed over.
        allow_partial: has no effect: there are no published numbers.
        test: fraction of the classes to test on, the last in the order of their names, or a list of class names.
        validation: the same for validation; a fraction takes the last classes that test leaves. 0 makes no such part.

    Returns:
        Dict of `LabelledImages` with paths: "train", and "validation" and "test" where they have classes.

    Raises:
        UserError: a class without images, an unknown class name, or no class left to train on.
    """
    return read(ARCHIVE, path, allow_partial, test=test, validation=validation)
