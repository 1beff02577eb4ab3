"""The real digit images that the offline data sets are stitched from, each in one part only."""

from functools import lru_cache

import numpy as np
from sklearn.datasets import load_digits

PARTS = ("train", "validation", "test")
DIGIT_SIZE = 8

_SHARES = {"train": 0.5, "validation": 0.2}
_SPLIT_SEED = 1797


def check_part(part: str) -> str:
    """`part` itself if it is one of PARTS, else a ValueError."""
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}.")
    return part


def digit_indices(part: str) -> np.ndarray:
    """Indices into `sklearn.datasets.load_digits()` of the images of a part, ordered by digit, then by index.

    Each digit's images are split by themselves: 50 % "train", 20 % "validation" and the remaining 30 %
    "test", in a fixed random order that no seed of a run changes.

    Args:
        part: "train", "validation" or "test".

    Returns:
        int64 array (N,), read-only.

    Raises:
        ValueError: an unknown part.
    """
    return _split()[check_part(part)]


def digit_images(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Digit images of a part and the digits that they show.

    Args:
        part: "train", "validation" or "test": see `digit_indices`.

    Returns:
        Images, float32 (N, 8, 8) in [0, 1], and digits, int32 (N,) in increasing order from 0 to 9.

    Raises:
        ValueError: an unknown part.

    Example:
        >>> images, digits = digit_images("train")
        >>> images.shape, digits.shape
        ((898, 8, 8), (898,))

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998: the 1,797 images of its test set, which ship with scikit-learn.
    """
    indices = digit_indices(part)
    images, digits = _all_digits()
    return images[indices], digits[indices]


@lru_cache(maxsize=1)
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    source = load_digits()
    return (source.images / 16).astype(np.float32), source.target.astype(np.int32)


@lru_cache(maxsize=1)
def _split() -> dict[str, np.ndarray]:
    _, digits = _all_digits()
    rng = np.random.default_rng(_SPLIT_SEED)
    chosen = {part: [] for part in PARTS}
    for digit in range(10):
        order = rng.permutation(np.flatnonzero(digits == digit))
        train = round(_SHARES["train"] * len(order))
        validation = train + round(_SHARES["validation"] * len(order))
        for part, indices in zip(PARTS, np.split(order, [train, validation]), strict=True):
            chosen[part].append(np.sort(indices))
    split = {part: np.concatenate(indices) for part, indices in chosen.items()}
    for indices in split.values():
        indices.flags.writeable = False
    return split
