"""How images are stitched from smaller ones: class splits, background digits, grids of cells, noise."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np

from gsp_tf.data.digits import PARTS
from gsp_tf.data.splits import class_split

CLASS_DIGITS = (1, 2, 3, 4, 5, 6, 7)
BACKGROUND_DIGITS = (0, 8, 9)

# With this seed each of the seven digits is in a class of every part, for pairs and for triples: test classes
# are new combinations of digits that training has seen.
_CLASS_SPLIT_SEED = 29


def check_background(background: Sequence[int]) -> tuple[int, ...]:
    """`background` as a tuple of distinct digits among 0, 8 and 9, or a ValueError."""
    digits = tuple(background) if isinstance(background, (Sequence, np.ndarray)) else ()
    known = all(isinstance(digit, Integral) and digit in BACKGROUND_DIGITS for digit in digits)
    if not digits or not known or len(set(digits)) < len(digits):
        raise ValueError(
            "background must be one or more different digits of 0, 8, 9 (1 to 7 make the classes), such as "
            f"(0, 8), got {background!r}."
        )
    return tuple(int(digit) for digit in digits)


def split_combinations(combinations: Sequence[tuple], sizes: Sequence[int], part: str) -> list[tuple]:
    """The combinations of a part, in their given order, by a fixed random split into `sizes`."""
    order = np.random.default_rng(_CLASS_SPLIT_SEED).permutation(len(combinations))
    chosen = np.split(order, np.cumsum(sizes)[:-1])[PARTS.index(part)]
    return [combinations[index] for index in np.sort(chosen)]


def part_of_combinations(combinations, sizes, part, split=None, fold=0, folds=None) -> list[tuple]:
    """The combinations of a part, see `split_combinations`, where `split` may cut the training ones anew.

    Args:
        combinations: list of tuples.
        sizes: numbers of combinations of "train", "validation" and "test".
        part: one of them.
        split: None for the sizes as they are, or one of `gsp_tf.data.splits.SPLITS`, which all leave "test" as it is.
        fold: index of the partition that is "validation".
        folds: number of partitions, or None for the usual one.
    """
    if split is None or part == "test":
        return split_combinations(combinations, sizes, part)
    rest = {part: split_combinations(combinations, sizes, part) for part in ("train", "validation")}
    training = sorted(rest["train"] + rest["validation"])
    cut = class_split(np.arange(len(training)), split, fold, folds)
    return [training[index] for index in getattr(cut, part)]


def sample_categories(proportions: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `count` categories for each row of `proportions` (B, K): int64 (B, count), values in [0, K)."""
    thresholds = np.cumsum(proportions, axis=1)[:, None, :-1]
    return (rng.random((len(proportions), count, 1)) >= thresholds).sum(axis=2)


def draw_cells(
    cell_digits: np.ndarray, images: np.ndarray, digits: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws an image of the digit asked for in each cell, every image of that digit being as likely.

    Args:
        cell_digits: integers (B, cells), the digit of each cell.
        images: float32 (N, h, w), the images to draw from.
        digits: integers (N,) in increasing order, what they show.
        rng: the generator to draw with.

    Returns:
        float32 (B, cells, h, w).
    """
    first = np.searchsorted(digits, np.arange(10), side="left")
    end = np.searchsorted(digits, np.arange(10), side="right")
    return images[rng.integers(first[cell_digits], end[cell_digits])]


def stitch(cells: np.ndarray, rows: int) -> np.ndarray:
    """Puts cells (B, rows * columns, h, w), or (B, rows * columns, h, w, C), row by row into images.

    Returns:
        (B, rows * h, columns * w, 1), or (B, rows * h, columns * w, C).
    """
    batch, count, height, width = cells.shape[:4]
    channels = cells.shape[4] if cells.ndim == 5 else 1
    columns = count // rows
    grid = cells.reshape(batch, rows, columns, height, width, channels).swapaxes(2, 3)
    return grid.reshape(batch, rows * height, columns * width, channels)


def add_noise(images: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise of standard deviation `noise` to each pixel and clips to [0, 1]."""
    if noise == 0:
        return images
    noisy = images + np.float32(noise) * rng.standard_normal(images.shape, dtype=np.float32)
    return np.clip(noisy, 0.0, 1.0)
