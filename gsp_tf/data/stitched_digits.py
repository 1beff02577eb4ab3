"""What the data sets of stitched digits share: their classes, background and drawing."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from gsp_tf.data.checks import check_labels, check_noise, check_whole_number
from gsp_tf.data.digits import DIGIT_SIZE, check_part, digit_images
from gsp_tf.data.splits import check_split
from gsp_tf.data.stitched_images import StitchedImages
from gsp_tf.data.stitching import add_noise, check_background, draw_cells, part_of_combinations, stitch


class StitchedDigits(StitchedImages):
    """Images that are square grids of real digits; what a class is, a subclass says.

    Attributes, besides those of `StitchedImages`:
        classes: tuple of the digits of each class.
        background: digits that the other cells show.
    """

    grid_size: int
    separator: str

    def __init__(
        self, part: str, background: Sequence[int] = (0, 8, 9), images_per_class: int = 60, noise: float = 0.0,
        split: str | None = None, fold: int = 0, folds: int | None = None,
    ):
        check_part(part)
        if split is not None:
            check_split(split)
        # Where the test part chooses the checkpoint, it is the validation part.
        self.part = "test" if split == "conventional" and part == "validation" else part
        self.background = check_background(background)
        self.images_per_class = check_whole_number("images_per_class", images_per_class, minimum=1)
        self.noise = check_noise(noise)
        combinations = part_of_combinations(*self._combinations(), self.part, split, fold, folds)
        self.classes = tuple(self._classes_from(combinations))
        self.class_names = tuple(self.separator.join(map(str, digits)) for digits in self.classes)
        self.num_classes = len(self.classes)
        self.image_shape = (self.grid_size * DIGIT_SIZE, self.grid_size * DIGIT_SIZE, 1)
        self._images, self._digits = digit_images(self.part)

    @abstractmethod
    def _combinations(self) -> tuple[list[tuple[int, ...]], tuple[int, int, int]]:
        """What is split between the parts, and how many of them each part gets."""

    def _classes_from(self, combinations: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Class digits of each class that a part's combinations make."""
        return combinations

    @abstractmethod
    def _cell_digits(self, class_digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Digits (B, cells) of the cells, in any order, of images whose classes have these digits (B, ·)."""

    def draw(self, labels, rng: np.random.Generator) -> np.ndarray:
        labels = check_labels(labels, self.num_classes)
        cell_digits = rng.permuted(self._cell_digits(np.array(self.classes)[labels], rng), axis=1)
        images = stitch(draw_cells(cell_digits, self._images, self._digits, rng), rows=self.grid_size)
        return add_noise(images, self.noise, rng)
