"""A small MNIST. Its classes are always the ten digits."""

import gzip
import struct
from pathlib import Path

import numpy as np

from gsp_tf.data.mini.pictures import picture
from gsp_tf.data.readers.mnist import IMAGES, LABELS, PREFIXES, SIZE


def write_mnist(path: Path, classes: int, images_per_class: int) -> None:
    """Writes the four gzipped idx files: `images_per_class` images of each digit in both parts."""
    path.mkdir(parents=True, exist_ok=True)
    for number, prefix in enumerate(PREFIXES.values()):
        indices = range(number * images_per_class, (number + 1) * images_per_class)
        labels = np.array([digit for _ in indices for digit in range(10)], dtype=np.uint8)
        images = np.stack([picture(digit, index, SIZE, SIZE)[..., 0] for index in indices for digit in range(10)])
        _write(path / f"{prefix}-images-idx3-ubyte.gz", struct.pack(">4I", IMAGES, *images.shape), images)
        _write(path / f"{prefix}-labels-idx1-ubyte.gz", struct.pack(">2I", LABELS, len(labels)), labels)


def _write(path: Path, header: bytes, values: np.ndarray) -> None:
    # Without the time of writing, which gzip keeps, so that equal images give equal files.
    path.write_bytes(gzip.compress(header + values.tobytes(), mtime=0))
