"""What every reader of a data set returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images of one part of a data set with their labels, before anything is decoded.

    Attributes:
        images: array of N paths (dtype object, of ``pathlib.Path``), or the images themselves, uint8 (N, H, W, C).
        labels: int32 (N,), each an index into ``class_names``.
        class_names: names of the classes of the whole data set, the same tuple in every part of it.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple

    def __len__(self):
        return len(self.labels)

    def select(self, kept):
        """The images of an index or boolean array, labels unchanged."""
        return LabelledImages(self.images[kept], self.labels[kept], self.class_names)

    def of_classes(self, classes):
        """The images whose label is one of ``classes``, in their order here, labels unchanged."""
        return self.select(np.flatnonzero(np.isin(self.labels, classes)))
