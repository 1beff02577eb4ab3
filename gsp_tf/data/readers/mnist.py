"""MNIST: handwritten digits in idx files, gzipped or not."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.archive import Archive, read
from gsp_tf.data.readers.listing import Listing
from gsp_tf.errors import UserError

TITLE = "MNIST"
TREE = """\
train-images-idx3-ubyte.gz  (each with or without .gz)
train-labels-idx1-ubyte.gz
t10k-images-idx3-ubyte.gz
t10k-labels-idx1-ubyte.gz"""
PREFIXES = {"train": "train", "test": "t10k"}
SIZE = 28
# The first four bytes of an idx file: unsigned bytes, and the number of dimensions.
IMAGES, LABELS = 0x0803, 0x0801
# Far above the 60,000 of MNIST and its kin, and far below what fills a memory.
_MOST_ITEMS = 1_000_000
_FOLDERS = ("", "MNIST/raw", "raw")


def list_mnist(path) -> Listing:
    """The images of MNIST, with the names of the files that are missing; see `read_mnist`."""
    path = Path(path).expanduser()
    names = {part: (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte") for part, prefix in PREFIXES.items()}
    root = next((path / folder for folder in _FOLDERS
                 if any(_find(path / folder, name) for pair in names.values() for name in pair)), None)
    if root is None:
        raise UserError(f"{path} does not hold {TITLE}: there is no {names['train'][0]}(.gz) in it; give the folder of "
                        "the four files")
    parts, missing, problems = {}, [], []
    for part, pair in names.items():
        files = [_find(root, name) for name in pair]
        missing.extend(name for name, file in zip(pair, files, strict=True) if file is None)
        images, labels = np.empty((0, SIZE, SIZE, 1), np.uint8), np.empty(0, np.int32)
        if None not in files:
            images = _read_idx(files[0], IMAGES, (SIZE, SIZE))[..., None]
            labels = _read_idx(files[1], LABELS, ()).astype(np.int32)
            if len(images) != len(labels):
                raise UserError(f"{root}: {len(images)} images of {part} have {len(labels)} labels: download both "
                                "files again")
            if len(labels) and labels.max() > 9:
                problems.append(f"{files[1].name}: label {labels.max()} is not one of 0 to 9")
        parts[part] = LabelledImages(images, labels, tuple("0123456789"))
    return Listing(root, parts, missing, problems)


def _find(root: Path, name: str) -> Path | None:
    # Some programs write a dot where the official name has a dash when they unpack.
    names = (name, f"{name}.gz", name.replace("-idx", ".idx"))
    return next((root / candidate for candidate in names if (root / candidate).is_file()), None)


def _read_idx(file: Path, magic: int, shape: tuple[int, ...]) -> np.ndarray:
    header = struct.Struct(f">{2 + len(shape)}I")
    try:
        with (gzip.open(file) if file.suffix == ".gz" else open(file, "rb")) as stream:
            values = header.unpack(stream.read(header.size))
            if values[0] != magic or values[2:] != shape or values[1] > _MOST_ITEMS:
                raise UserError(f"{file} begins with {values}, an idx file of {TITLE} with ({magic}, its number of "
                                f"items{''.join(f', {size}' for size in shape)}): download it again")
            size = values[1] * int(np.prod(shape))
            data = stream.read(size + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise UserError(f"{file} cannot be read ({error}): download it again") from None
    if len(data) != size:
        raise UserError(f"{file} should hold {size:,} bytes after its head and holds "
                        f"{'more' if len(data) > size else f'{len(data):,}'}: download it again")
    return np.frombuffer(data, np.uint8).reshape(values[1], *shape)


ARCHIVE = Archive("mnist", TITLE, TREE, {"train": (60000, 10), "test": (10000, 10)}, list_mnist)


def read_mnist(path, allow_partial: bool = False) -> dict[str, LabelledImages]:
    """Reads MNIST in its official parts.

    Args:
        path: folder of the four idx files, each gzipped or not.
        allow_partial: accept other counts than the published ones.

    Returns:
        Dict of `LabelledImages` with uint8 arrays (N, 28, 28, 1): "train", 60,000 images, and "test", 10,000, of the
        same 10 digits.

    Raises:
        UserError: files that are missing or hold something else, or other counts than the published ones.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
    Proceedings of the IEEE, 1998.
    """
    return read(ARCHIVE, path, allow_partial)
