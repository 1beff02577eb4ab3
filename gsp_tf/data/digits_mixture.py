"""Digits Mixture: a class is the proportion of two digits among background digits."""

from itertools import combinations

import numpy as np

from gsp_tf.data.stitched_digits import StitchedDigits
from gsp_tf.data.stitching import CLASS_DIGITS, sample_categories

PAIR_SPLIT = (11, 4, 6)

_CLASS_SHARE_MEAN, _CLASS_SHARE_STD = 0.4, 0.1
_MIN_CLASS_CELLS, _MAX_CLASS_CELLS = 3, 13
_FIRST_DIGIT_SHARE = 0.67
_BACKGROUND_CONCENTRATION = 0.5


class DigitsMixture(StitchedDigits):
    """32 x 32 images of 4 x 4 real digits, a histogram of two class digits among background digits.

    A class is an ordered pair (a, b) of the digits 1 to 7, named "a:b". In an image

        K = clip(round(16 N(0.4, 0.1)), 3, 13)   cells hold class digits:
        round(0.67 K)                            of them a, the others b,

    and the other 16 - K hold background digits in proportions drawn for that image from Dirichlet(0.5). All
    cells are in random places, and each shows a random image of its digit. "2:5" and "5:2" hold the same
    digits: what tells them apart is how much there is of each.

    The 21 unordered pairs are split 11/4/6, which gives 22, 8 and 12 classes to "train", "validation" and
    "test": no pair, and no source image, is in two parts. Test classes are unseen combinations of digits that
    training has seen.

    Args:
        part: "train", "validation" or "test".
        background: digits of the other cells, one or more of 0, 8, 9. For the variant with unseen background
            pass (0, 8) for "train" and "validation" and (9,) for "test".
        images_per_class: number of images a class of `images_and_labels`.
        noise: standard deviation of the Gaussian noise added to pixels, then clipped to [0, 1].
        split: None for the parts above; "fair" or "tuning" to cut the pairs of "train" and "validation" anew, in
            `folds` contiguous partitions; "conventional" to train on all of them with "test" as "validation".
        fold: the partition that is "validation"; the others are "train".
        folds: number of partitions, 4 for "fair" and 5 for "tuning" by default.

    Raises:
        ValueError: an unknown part, other background digits, or a number out of range.

    Example:
        >>> import numpy as np
        >>> dataset = DigitsMixture("test")
        >>> dataset.num_classes, dataset.image_shape
        (12, (32, 32, 1))
        >>> dataset.draw([0, 0, 1], np.random.default_rng(0)).shape
        (3, 32, 32, 1)
    """

    name = "digits_mixture"
    grid_size = 4
    separator = ":"

    def _combinations(self) -> tuple[list[tuple[int, ...]], tuple[int, int, int]]:
        return list(combinations(CLASS_DIGITS, 2)), PAIR_SPLIT

    def _classes_from(self, combinations: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        return sorted(ordered for a, b in combinations for ordered in ((a, b), (b, a)))

    def _cell_digits(self, class_digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        batch, cells = len(class_digits), self.grid_size**2
        class_cells = np.rint(cells * rng.normal(_CLASS_SHARE_MEAN, _CLASS_SHARE_STD, size=(batch, 1)))
        class_cells = np.clip(class_cells, _MIN_CLASS_CELLS, _MAX_CLASS_CELLS)
        first_cells = np.rint(_FIRST_DIGIT_SHARE * class_cells)

        concentration = np.full(len(self.background), _BACKGROUND_CONCENTRATION)
        proportions = rng.dirichlet(concentration, size=batch)
        background = np.array(self.background)[sample_categories(proportions, cells, rng)]

        position = np.arange(cells)
        is_first, is_class = position < first_cells, position < class_cells
        return np.where(is_first, class_digits[:, :1], np.where(is_class, class_digits[:, 1:], background))
