"""What the data sets of stitched images share: batches drawn fresh, and fixed images to evaluate on."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from gsp_tf.data.batches import training_batches
from gsp_tf.data.digits import PARTS

_FIXED_IMAGES_SEED = 64


class StitchedImages(ABC):
    """Images stitched from smaller ones, drawn anew for every training batch; a subclass says how.

    Attributes:
        name: name of the data set, as in `gsp_tf.data.DATASETS`.
        part: "train", "validation" or "test".
        classes: tuple of what each class shows; a label is an index into it.
        class_names: names of the classes, in the same order.
        num_classes: number of classes of this part.
        image_shape: (H, W, C).
        images_per_class: number of fixed images of each class: one for all, or an array of one for each.
    """

    name: str
    part: str
    classes: tuple
    class_names: tuple
    num_classes: int
    image_shape: tuple
    images_per_class: int | np.ndarray

    @abstractmethod
    def draw(self, labels, rng: np.random.Generator) -> np.ndarray:
        """Draws a fresh image of each class asked for, from the source images of this part.

        Args:
            labels: integers (B,) in [0, num_classes).
            rng: the NumPy generator that everything is drawn with; equal generators give equal images.

        Returns:
            float32 (B, H, W, C) in [0, 1].

        Raises:
            ValueError: labels that are not integers of shape (B,), or outside the classes.
        """

    def images_and_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """The fixed images of this part, the same in every run, `images_per_class` a class, ordered by class.

        Returns:
            Images, float32 (N, H, W, C) in [0, 1], and labels, int32 (N,).
        """
        labels = np.repeat(np.arange(self.num_classes, dtype=np.int32), self.images_per_class)
        rng = np.random.default_rng([_FIXED_IMAGES_SEED, PARTS.index(self.part)])
        return self.draw(labels, rng), labels

    def training_batches(
        self, classes_per_batch: int, samples_per_class: int, seed: int, start_step: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless batches of freshly drawn images: see `gsp_tf.data.training_batches`."""
        return training_batches(self, classes_per_batch, samples_per_class, seed, start_step, part)

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
