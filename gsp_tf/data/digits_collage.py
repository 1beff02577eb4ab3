"""Digits Collage: a class is the presence of some digits among background digits."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from gsp_tf.data.checks import check_whole_number
from gsp_tf.data.stitched_digits import StitchedDigits
from gsp_tf.data.stitching import CLASS_DIGITS, sample_categories

SPLITS = {2: (11, 4, 6), 3: (18, 7, 10)}


class DigitsCollage(StitchedDigits):
    """24 x 24 images of 3 x 3 real digits: the digits of a class, once each, among background digits.

    A class is an unordered triple of the digits 1 to 7, named "a+b+c"; the other six cells hold background
    digits, each as likely as the others. All cells are in random places, and each shows a random image of its
    digit. The 35 triples are split 18/7/10 between "train", "validation" and "test": no triple, and no source
    image, is in two parts. Test classes are unseen combinations of digits that training has seen.

    Args:
        part: "train", "validation" or "test".
        class_digits: 3 for triples; 2 for the variant of pairs: 21 classes split 11/4/6, seven background
            cells.
        background: digits of the other cells, one or more of 0, 8, 9. For the variant with unseen background
            pass (0, 8) for "train" and "validation" and (9,) for "test".
        images_per_class: number of images a class of `images_and_labels`.
        noise: standard deviation of the Gaussian noise added to pixels, then clipped to [0, 1].
        split, fold, folds: see `DigitsMixture`.

    Raises:
        ValueError: an unknown part, other background digits, or a number out of range.

    Example:
        >>> import numpy as np
        >>> dataset = DigitsCollage("test")
        >>> dataset.num_classes, dataset.image_shape
        (10, (24, 24, 1))
        >>> dataset.draw([0, 0, 1], np.random.default_rng(0)).shape
        (3, 24, 24, 1)
    """

    name = "digits_collage"
    grid_size = 3
    separator = "+"

    def __init__(
        self,
        part: str,
        class_digits: int = 3,
        background: Sequence[int] = (0, 8, 9),
        images_per_class: int = 60,
        noise: float = 0.0,
        split: str | None = None,
        fold: int = 0,
        folds: int | None = None,
    ):
        self.class_digits = check_whole_number("class_digits", class_digits, minimum=min(SPLITS))
        if self.class_digits not in SPLITS:
            raise ValueError(f"class_digits must be 2 (pairs) or 3 (triples), got {class_digits!r}.")
        super().__init__(part, background, images_per_class, noise, split, fold, folds)

    def _combinations(self) -> tuple[list[tuple[int, ...]], tuple[int, int, int]]:
        return list(combinations(CLASS_DIGITS, self.class_digits)), SPLITS[self.class_digits]

    def _cell_digits(self, class_digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        proportions = np.full((len(class_digits), len(self.background)), 1 / len(self.background))
        others = self.grid_size**2 - self.class_digits
        background = np.array(self.background)[sample_categories(proportions, others, rng)]
        return np.concatenate([class_digits, background], axis=1)
