"""Training batches drawn fresh, the same from any step on."""

from collections.abc import Iterator

import numpy as np

from gsp_tf.data.checks import check_whole_number
from gsp_tf.data.class_sampler import ClassSampler

_IMAGES_STREAM = 2


def training_batches(
    dataset, classes_per_batch: int, samples_per_class: int, seed: int, start_step: int = 0,
    part: tuple[int, int] = (0, 1),
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches of freshly drawn images, `samples_per_class` of each of `classes_per_batch` classes.

    Batch t depends on the data set, on the sizes, on `seed` and on t alone, so that a run resumed at
    `start_step` continues with the very batches it would have seen.

    Args:
        dataset: data set with `num_classes` and `draw(labels, rng)`, such as `DigitsMixture("train")`.
        classes_per_batch: number of distinct classes in a batch: see `ClassSampler`.
        samples_per_class: number of images of each of them, at least 1.
        seed: whole number of at least 0.
        start_step: index of the first batch to give.
        part: (i, k) for the i-th of k equal consecutive parts of every batch; all of it by default.

    Returns:
        Iterator of images, float32 (classes_per_batch * samples_per_class / k, H, W, C), and labels, int32; the
        images of a class are adjacent.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> from gsp_tf.data import DigitsMixture
        >>> images, labels = next(training_batches(DigitsMixture("train"), 2, 3, seed=0))
        >>> images.shape, labels.shape
        ((6, 32, 32, 1), (6,))
    """
    samples_per_class = check_whole_number("samples_per_class", samples_per_class, minimum=1)
    start_step = check_whole_number("start_step", start_step, minimum=0)
    sampler = ClassSampler(dataset.num_classes, classes_per_batch, seed)
    kept = slice_of_part(part, classes_per_batch * samples_per_class)
    return _batches(dataset, sampler, samples_per_class, start_step, kept)


def slice_of_part(part: tuple[int, int], batch_size: int) -> slice:
    """The places of the i-th of k equal consecutive parts of a batch, for `part` (i, k); else a ValueError."""
    number, parts = part
    if not 0 <= number < parts or batch_size % parts:
        raise ValueError(
            f"part must be (i, k) with 0 <= i < k and a k that divides the batch of {batch_size}, got {part!r}."
        )
    size = batch_size // parts
    return slice(number * size, (number + 1) * size)


def _batches(
    dataset, sampler: ClassSampler, samples_per_class: int, step: int, kept: slice
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    sampler.skip(step)
    for classes in sampler:
        labels = np.repeat(classes, samples_per_class)
        images = dataset.draw(labels, np.random.default_rng([sampler.seed, step, _IMAGES_STREAM]))
        yield images[kept], labels[kept]
        step += 1
