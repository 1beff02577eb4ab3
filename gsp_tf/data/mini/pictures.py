"""Generated pictures: easy to tell apart by class, no two alike, the same in every run."""

from pathlib import Path

import numpy as np
import tensorflow as tf

_SEED = 5


def picture(label: int, index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A picture of a class: stripes whose colour, width and direction are the class's, on noise of its own.

    Args:
        label: of the class.
        index: of the picture within its class.
        height: in pixels.
        width: in pixels.

    Returns:
        uint8 (height, width, 3).

    Example:
        >>> picture(0, 0).shape, bool((picture(0, 0) == picture(0, 0)).all())
        ((48, 64, 3), True)
    """
    of_class, of_picture = np.random.default_rng([_SEED, label]), np.random.default_rng([_SEED, label, index])
    color, angle, period = of_class.uniform(60, 255, 3), of_class.uniform(0, np.pi), of_class.uniform(5, 15)
    y, x = np.mgrid[:height, :width]
    along = x * np.cos(angle) + y * np.sin(angle) + of_picture.uniform(0, period)
    stripes = (np.sin(2 * np.pi * along / period) > 0)[..., None]
    noise = of_picture.uniform(0, 90, (height, width, 1))
    return np.where(stripes, 0.8 * color + 0.2 * noise, noise).astype(np.uint8)


def write_jpeg(path: Path, label: int, index: int) -> None:
    """Writes a picture as JPEG, every other one upright, and makes the folders above it."""
    size = (48, 64) if index % 2 == 0 else (64, 48)
    path.parent.mkdir(parents=True, exist_ok=True)
    jpeg = tf.io.encode_jpeg(picture(label, index, *size), quality=95, chroma_downsampling=False)
    path.write_bytes(jpeg.numpy())


def write_lines(path: Path, lines) -> None:
    """Writes a text file in UTF-8, and makes the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
