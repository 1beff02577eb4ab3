"""Which images are in which batch."""

from math import gcd

import numpy as np

from gsp_tf.data.checks import check_whole_number
from gsp_tf.data.class_sampler import ClassSampler

_IMAGES_STREAM = 3


def indices_of_classes(labels, num_classes):
    """For each class from 0 to ``num_classes`` − 1 the places of its label in ``labels`` (N,), in increasing order."""
    counts = np.bincount(labels, minlength=num_classes)
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])


def draw_indices(labels, members, rng):
    """Draw a random image of each class asked for, those of a class different as long as it has so many.

    Args:
        labels: whole numbers (B,) in [0, C).
        members: C arrays, the indices of the images of each class: see :func:`indices_of_classes`.
        rng: the NumPy generator to draw with.

    Returns:
        int64 (B,).
    """
    indices = np.empty(len(labels), np.int64)
    for places, images in zip(indices_of_classes(labels, len(members)), members, strict=True):
        rounds = [rng.permutation(images) for _ in range(-(-len(places) // len(images)))]
        indices[places] = np.concatenate([images[:0], *rounds])[: len(places)]
    return indices


class ImageSampler:
    """Iterator over batches of ``samples_per_class`` images of each of ``classes_per_batch`` classes.

    Classes come as :class:`gsp_tf.data.ClassSampler` gives them. Within a class of n images, m of which are in a batch,

        m < n: images come in rounds, each a random order of all n: every image once before any a second time; where
               two rounds meet in a batch, an image that the batch already holds is deferred to the next one;
        m ≥ n: a batch holds every image ⌊m/n⌋ times, and m mod n of them once more, these again in rounds.

    After n/gcd(n, m) visits of a class its rounds end with a batch, and a block begins that depends on nothing before
    it: so a sampler jumps to any step without drawing the images on the way. The sequence depends on the arguments
    alone: a new sampler after ``skip(t)`` goes on exactly as one that has given t batches.

    Args:
        labels: whole numbers (N,), every one of 0 to C − 1 at least once.
        classes_per_batch: P, from 1 to C.
        samples_per_class: m, at least 1.
        seed: whole number of at least 0.

    Raises:
        ValueError: labels of another shape or type, a class without an image, or a number out of range.

    Example:
        >>> sampler = ImageSampler([0, 0, 0, 1, 1], classes_per_batch=2, samples_per_class=2, seed=0)
        >>> (first, labels), (second, _) = next(sampler), next(sampler)
        >>> first.shape, labels.shape
        ((4,), (4,))
        >>> sorted({*first.tolist(), *second.tolist()})
        [0, 1, 2, 3, 4]
    """

    def __init__(self, labels, classes_per_batch, samples_per_class, seed):
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) == 0:
            raise ValueError(
                f"labels must be at least one whole number, of shape (N,), got dtype {labels.dtype} and shape "
                f"{labels.shape}."
            )
        if labels.min() < 0:
            raise ValueError(f"labels must be at least 0, got {labels.min()}.")
        counts = np.bincount(labels)
        if not counts.all():
            raise ValueError(
                f"labels must hold every class from 0 to {len(counts) - 1}, got none of class "
                f"{np.flatnonzero(counts == 0)[0]}: number the classes that are there from 0."
            )
        self.samples_per_class = check_whole_number("samples_per_class", samples_per_class, minimum=1)
        self._classes = ClassSampler(len(counts), classes_per_batch, seed)
        self.seed = self._classes.seed
        self._members = indices_of_classes(labels, len(counts))
        self._visits = np.zeros(len(counts), np.int64)
        self._blocks: dict[int, tuple[int, np.ndarray]] = {}

    def __iter__(self):
        return self

    def __next__(self):
        """Indices of the next batch's images, int64 (P·m,), and their labels, int32; a class's are adjacent."""
        classes = next(self._classes)
        indices = np.concatenate([self._of_class(label) for label in classes.tolist()])
        self._visits[classes] += 1
        return indices, np.repeat(classes, self.samples_per_class)

    def skip(self, steps):
        """Pass over the next ``steps`` batches: microseconds for each."""
        for _ in range(check_whole_number("steps", steps, minimum=0)):
            self._visits[next(self._classes)] += 1

    def _of_class(self, label):
        members = self._members[label]
        whole, rest = divmod(self.samples_per_class, len(members))
        indices = np.tile(members, whole)
        if rest == 0:
            return indices
        number, visit = divmod(int(self._visits[label]), len(members) // gcd(len(members), rest))
        if self._blocks.get(label, (None,))[0] != number:
            rng = np.random.default_rng([self.seed, label, number, _IMAGES_STREAM])
            self._blocks[label] = number, _block(len(members), rest, rng)
        return np.concatenate([indices, members[self._blocks[label][1][visit]]])


def _block(count, size, rng):
    """Batches (count/g, size), g = gcd(count, size), of distinct numbers below ``count``, each size/g times in all."""
    rounds = []
    tail = np.empty(0, np.int64)
    for number in range(size // gcd(count, size)):
        order = rng.permutation(count)
        # What begins a batch that the last round has not filled must not be in it already.
        new = order[~np.isin(order, tail)][: size - len(tail)]
        order = np.concatenate([new, order[~np.isin(order, new)]])
        rounds.append(order)
        unfilled = (number + 1) * count % size
        tail = order[count - unfilled :]
    return np.concatenate(rounds).reshape(-1, size)
