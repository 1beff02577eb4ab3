"""Which classes are in which batch."""

import numpy as np

from gsp_tf.data.checks import check_whole_number

_ROUNDS_STREAM = 1


class ClassSampler:
    """Iterator over batches of distinct classes that visits every class once before any a second time.

    Classes come in rounds, each a random order of all of them. Where the rest of one round and the head of
    the next meet in a batch, a class that the batch already holds is deferred to the next batch, and the
    class after it taken instead. So after every batch the visits of any two classes differ by at most one.

    The sequence depends on the arguments alone: a new sampler after `skip(t)` goes on exactly as one that has
    given t batches.

    Args:
        num_classes: number of classes, at least 1.
        classes_per_batch: number of classes in a batch, from 1 to `num_classes`.
        seed: whole number of at least 0.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> sampler = ClassSampler(num_classes=4, classes_per_batch=2, seed=0)
        >>> first, second = next(sampler), next(sampler)
        >>> sorted([*first.tolist(), *second.tolist()])
        [0, 1, 2, 3]
    """

    def __init__(self, num_classes: int, classes_per_batch: int, seed: int):
        self.num_classes = check_whole_number("num_classes", num_classes, minimum=1)
        self.classes_per_batch = check_whole_number("classes_per_batch", classes_per_batch, minimum=1)
        self.seed = check_whole_number("seed", seed, minimum=0)
        if self.classes_per_batch > self.num_classes:
            raise ValueError(
                f"classes_per_batch must be at most the number of classes, {num_classes}, got "
                f"{classes_per_batch}: a batch holds distinct classes."
            )
        self._round = 0
        self._waiting: list[int] = []

    def __iter__(self) -> "ClassSampler":
        return self

    def __next__(self) -> np.ndarray:
        """int32 array (classes_per_batch,) of the next batch's classes."""
        batch, self._waiting = (
            self._waiting[: self.classes_per_batch],
            self._waiting[self.classes_per_batch :],
        )
        missing = self.classes_per_batch - len(batch)
        if missing:
            order = np.random.default_rng([self.seed, self._round, _ROUNDS_STREAM]).permutation(
                self.num_classes
            )
            self._round += 1
            held = set(batch)
            new = [index for index in order.tolist() if index not in held][:missing]
            batch.extend(new)
            self._waiting = [index for index in order.tolist() if index not in set(new)]
        return np.array(batch, dtype=np.int32)

    def skip(self, steps: int) -> None:
        """Passes over the next `steps` batches."""
        for _ in range(check_whole_number("steps", steps, minimum=0)):
            next(self)
