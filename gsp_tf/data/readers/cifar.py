"""CIFAR-10 and CIFAR-100, the versions for Python: pickled batches of 32 x 32 images, in a folder or in its archive."""

import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.archive import Archive, read
from gsp_tf.data.readers.listing import Listing
from gsp_tf.data.readers.restricted_pickle import load_arrays
from gsp_tf.errors import UserError

SIZE = 32
# The largest official file, CIFAR-100's train, has 155 million bytes.
_MOST_BYTES = 400_000_000


class Layout(NamedTuple):
    """Where one of the two data sets keeps what."""

    title: str
    folder: str
    archive: str
    parts: dict[str, tuple[str, ...]]
    meta: str
    names_key: bytes
    labels_key: bytes


CIFAR10 = Layout(
    "CIFAR-10", "cifar-10-batches-py", "cifar-10-python.tar.gz",
    {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
    "batches.meta", b"label_names", b"labels",
)
CIFAR100 = Layout(
    "CIFAR-100", "cifar-100-python", "cifar-100-python.tar.gz", {"train": ("train",), "test": ("test",)},
    "meta", b"fine_label_names", b"fine_labels",
)
_SUPER_CLASSES = CIFAR100._replace(names_key=b"coarse_label_names", labels_key=b"coarse_labels")


def list_cifar(layout: Layout, path) -> Listing:
    """The images of a CIFAR data set, with the names of the files that are missing."""
    source, files = _files(layout, Path(path).expanduser())
    names = _names(layout, files, source)
    parts, missing, problems = {}, [], []
    for part, batches in layout.parts.items():
        missing.extend(batch for batch in batches if batch not in files)
        read_batches = [_batch(layout, files[batch], f"{source}/{batch}", len(names), problems)
                        for batch in batches if batch in files]
        images = [images for images, _ in read_batches] or [np.empty((0, SIZE, SIZE, 3), np.uint8)]
        labels = [labels for _, labels in read_batches] or [np.empty(0, np.int32)]
        parts[part] = LabelledImages(np.concatenate(images), np.concatenate(labels), names)
    return Listing(Path(source), parts, missing, problems)


def _names(layout: Layout, files: dict[str, bytes], source: str) -> tuple[str, ...]:
    """Names of the classes."""
    if layout.meta not in files:
        raise UserError(f"{source}: {layout.meta} is missing, which names the classes: extract the archive again")
    names = _mapping(files[layout.meta], f"{source}/{layout.meta}").get(layout.names_key)
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise UserError(f"{source}/{layout.meta} has no list {layout.names_key.decode()}: download the archive again")
    return tuple(name.decode("utf-8", "replace") for name in names)


def _batch(layout: Layout, data: bytes, source: str, num_classes: int, problems: list[str]):
    batch = _mapping(data, source)
    images = _rows(batch, source)
    labels = _labels(layout, batch, source, len(images))
    # Planes of red, green and blue become pixels.
    images = np.array(images.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1), order="C")
    outside = _outside(labels, num_classes)
    if outside:
        problems.append(f"{source}: {outside}")
        return images[:0], np.empty(0, np.int32)
    return images, np.array(labels, dtype=np.int32)


def _rows(batch: dict, source: str) -> np.ndarray:
    """A batch's images, uint8 (N, 3072)."""
    images = batch.get(b"data")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (3 * SIZE * SIZE,):
        raise UserError(f"{source} has no uint8 array data of rows of {3 * SIZE * SIZE}: download the archive again")
    return images


def _labels(layout: Layout, batch: dict, source: str, count: int) -> list[int]:
    """Labels of a batch's images, whatever their values."""
    labels = batch.get(layout.labels_key)
    if not isinstance(labels, list) or not all(type(label) is int for label in labels) or len(labels) != count:
        raise UserError(f"{source} has no list {layout.labels_key.decode()} of {count} whole numbers: download "
                        "the archive again")
    return labels


def _outside(labels: list[int], num_classes: int) -> str:
    """What is wrong with the first label that is out of range; empty if there is none."""
    return next((f"label {label} is not one of 0 to {num_classes - 1}" for label in labels
                 if not 0 <= label < num_classes), "")


def _mapping(data: bytes, source: str) -> dict:
    batch = load_arrays(data, source)
    if not isinstance(batch, dict):
        raise UserError(f"{source} holds no dictionary: download the archive again")
    return batch


def _files(layout: Layout, path: Path) -> tuple[str, dict[str, bytes]]:
    """Where the files were found, and the contents of those that are there."""
    wanted = (layout.meta, *(batch for batches in layout.parts.values() for batch in batches))
    for folder in (path / layout.folder, path):
        found = [name for name in wanted if (folder / name).is_file()]
        if found:
            return str(folder), {name: _contents(folder / name) for name in found}
    archive = path if path.is_file() else path / layout.archive
    if archive.is_file():
        return str(archive), _members(archive, {f"{layout.folder}/{name}": name for name in wanted})
    raise UserError(
        f"{path} does not hold {layout.title}: there is neither {layout.folder}/ nor {layout.archive} in it; give the "
        "folder of one of them"
    )


def _contents(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UserError(f"{file} is larger than any official file: download the archive again")
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): extract the archive again") from None


def _members(archive: Path, wanted: dict[str, str]) -> dict[str, bytes]:
    # Read into memory and never extracted: no name of a member reaches the disk, whatever it points to.
    files = {}
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                name = wanted.get(member.name.removeprefix("./"))
                if name is None or not member.isreg():
                    continue
                if member.size > _MOST_BYTES:
                    raise UserError(f"{archive}: {member.name} is larger than any official file: download it again")
                files[name] = tar.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{archive} cannot be read ({error}): download it again") from None
    return files


def list_cifar10(path) -> Listing:
    """The images of CIFAR-10; see `read_cifar10`."""
    return list_cifar(CIFAR10, path)


def list_cifar100(path) -> Listing:
    """The images of CIFAR-100; see `read_cifar100`."""
    return list_cifar(CIFAR100, path)


ARCHIVE_10 = Archive("cifar10", CIFAR10.title, """\
cifar-10-batches-py/  (or cifar-10-python.tar.gz)
  batches.meta
  data_batch_1 ... data_batch_5
  test_batch""", {"train": (50000, 10), "test": (10000, 10)}, list_cifar10)
ARCHIVE_100 = Archive("cifar100", CIFAR100.title, """\
cifar-100-python/  (or cifar-100-python.tar.gz)
  meta
  train
  test""", {"train": (50000, 100), "test": (10000, 100)}, list_cifar100)


def read_cifar10(path, allow_partial: bool = False) -> dict[str, LabelledImages]:
    """Reads CIFAR-10, the version for Python, in its official parts.

    Nothing of the files is run: see `restricted_pickle`. The archive itself is read as well as its folder; it is
    never extracted.

    Args:
        path: folder `cifar-10-batches-py`, or a folder with it or with `cifar-10-python.tar.gz`, or that archive.
        allow_partial: accept other counts than the published ones, and go on without batches that are missing.

    Returns:
        Dict of `LabelledImages` with uint8 arrays (N, 32, 32, 3): "train", 50,000 images, and "test", 10,000, of the
        same 10 classes.

    Raises:
        UserError: files that are missing or hold something else, or other counts than the published ones.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    return read(ARCHIVE_10, path, allow_partial)


def read_cifar100(path, allow_partial: bool = False) -> dict[str, LabelledImages]:
    """Reads CIFAR-100, the version for Python, in its official parts, with its 100 fine labels.

    Args and the rest as for `read_cifar10`, with `cifar-100-python` and `cifar-100-python.tar.gz`.
    """
    return read(ARCHIVE_100, path, allow_partial)


def read_cifar100_super_classes(path) -> dict[str, str]:
    """Reads which of CIFAR-100's 20 super-classes each of its 100 classes is of, from the labels of its images.

    Args:
        path: as for `read_cifar100`.

    Returns:
        Dict from the names of all classes, in the order of their fine labels, to those of their super-classes.

    Raises:
        UserError: files that are missing or hold something else, a class whose images have several super-classes, or
            one without an image.
    """
    source, files = _files(CIFAR100, Path(path).expanduser())
    layouts = (CIFAR100, _SUPER_CLASSES)
    names, super_names = (_names(layout, files, source) for layout in layouts)
    found: list[set[str]] = [set() for _ in names]
    for file in (file for file in files if file != CIFAR100.meta):
        batch = _mapping(files[file], f"{source}/{file}")
        count = len(_rows(batch, f"{source}/{file}"))
        labels, super_labels = (_labels(layout, batch, f"{source}/{file}", count) for layout in layouts)
        wrong = _outside(labels, len(names)) or _outside(super_labels, len(super_names))
        if wrong:
            raise UserError(f"{source}/{file}: {wrong}: download the archive again")
        for label, super_label in set(zip(labels, super_labels, strict=True)):
            found[label].add(super_names[super_label])
    for name, of_class in zip(names, found, strict=True):
        if len(of_class) != 1:
            given = " and ".join(sorted(of_class)) or "none, for it has no image"
            raise UserError(f"{source}: {name} must have one super-class and has {given}: download the archive again")
    return {name: of_class.pop() for name, of_class in zip(names, found, strict=True)}
