"""What the data sets of stitched digits share: their interface, fixed images and drawing."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from gsp_tf.data.batches import training_batches
from gsp_tf.data.checks import check_labels, check_noise, check_whole_number
from gsp_tf.data.digits import DIGIT_SIZE, PARTS, check_part, digit_images
from gsp_tf.data.stitching import add_noise, check_background, draw_cells, stitch

_FIXED_IMAGES_SEED = 64


class StitchedDigits(ABC):
    """Images that are square grids of real digits; what a class is, a subclass says.

    Attributes:
        name: name of the data set, as in `gsp_tf.data.DATASETS`.
        part: "train", "validation" or "test".
        classes: tuple of the digits of each class; a label is an index into it.
        class_names: names of the classes, in the same order.
        num_classes: number of classes of this part.
        image_shape: (H, W, 1).
        background: digits that the other cells show.
    """

    name: str
    grid_size: int
    separator: str

    def __init__(
        self, part: str, background: Sequence[int] = (0, 8, 9), images_per_class: int = 60, noise: float = 0.0
    ):
        self.part = check_part(part)
        self.background = check_background(background)
        self.images_per_class = check_whole_number("images_per_class", images_per_class, minimum=1)
        self.noise = check_noise(noise)
        self.classes = tuple(self._classes_of_part())
        self.class_names = tuple(self.separator.join(map(str, digits)) for digits in self.classes)
        self.num_classes = len(self.classes)
        self.image_shape = (self.grid_size * DIGIT_SIZE, self.grid_size * DIGIT_SIZE, 1)
        self._images, self._digits = digit_images(part)

    @abstractmethod
    def _classes_of_part(self) -> list[tuple[int, ...]]:
        """Class digits of each class of `self.part`."""

    @abstractmethod
    def _cell_digits(self, class_digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Digits (B, cells) of the cells, in any order, of images whose classes have these digits (B, ·)."""

    def draw(self, labels, rng: np.random.Generator) -> np.ndarray:
        """Draws a fresh image of each class asked for, from the digit images of this part.

        Args:
            labels: integers (B,) in [0, num_classes).
            rng: the NumPy generator that everything is drawn with; equal generators give equal images.

        Returns:
            float32 (B, H, W, 1) in [0, 1].

        Raises:
            ValueError: labels that are not integers of shape (B,), or outside the classes.
        """
        labels = check_labels(labels, self.num_classes)
        cell_digits = rng.permuted(self._cell_digits(np.array(self.classes)[labels], rng), axis=1)
        images = stitch(draw_cells(cell_digits, self._images, self._digits, rng), rows=self.grid_size)
        return add_noise(images, self.noise, rng)

    def images_and_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """The fixed images of this part, the same in every run, `images_per_class` a class, ordered by class.

        Returns:
            Images, float32 (num_classes * images_per_class, H, W, 1) in [0, 1], and labels, int32.
        """
        labels = np.repeat(np.arange(self.num_classes, dtype=np.int32), self.images_per_class)
        rng = np.random.default_rng([_FIXED_IMAGES_SEED, PARTS.index(self.part)])
        return self.draw(labels, rng), labels

    def training_batches(
        self, classes_per_batch: int, samples_per_class: int, seed: int, start_step: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless batches of freshly drawn images: see `gsp_tf.data.training_batches`."""
        return training_batches(self, classes_per_batch, samples_per_class, seed, start_step)

    def evaluation_batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """The images of `images_and_labels`, `batch_size` at a time."""
        images, _ = self._fixed
        return (images[start : start + batch_size] for start in range(0, len(images), batch_size))

    def evaluation_images(self, indices: Sequence[int]) -> np.ndarray:
        """Some of the images of `images_and_labels`."""
        return self._fixed[0][indices]

    @property
    def labels(self) -> np.ndarray:
        """The labels of `images_and_labels`."""
        return self._fixed[1]

    @functools.cached_property
    def _fixed(self) -> tuple[np.ndarray, np.ndarray]:
        return self.images_and_labels()
