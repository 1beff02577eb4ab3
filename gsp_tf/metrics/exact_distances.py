"""Squared distances of concatenated embeddings by their definition, each pair by itself."""

from collections.abc import Iterable

import numpy as np

# The differences of a pair, the rows they are made of and their squares, for each dimension.
BYTES_PER_DIMENSION = 48
# Squares of numbers between 2^-_IN_RANGE and 2^_IN_RANGE are far from the limits of float32, too.
_IN_RANGE = 30


class ExactDistances:
    """sum((q - r)^2) in float64 over the concatenated dimensions of one model a fold.

    The value of a pair depends on nothing but its two rows. Embeddings of very large or very small values are
    multiplied by a power of two, which changes no digit, and keeps their squares in range.

    Args:
        folds: the queries: a list over folds of lists over repeats of (Q, d) arrays, float32 or float64.
        ref_folds: the references likewise, (N, d).
        memory_bytes: bound of the working memory, if it is enough for one pair.

    Attributes:
        exponent: all embeddings times 2^exponent are at most 1; or 0, if they are in the range that needs no scaling.
    """

    def __init__(self, folds, ref_folds, memory_bytes: int):
        self._folds, self._ref_folds, self._memory = folds, ref_folds, memory_bytes
        self._exponents = [
            [_exponent(max(_largest(x), _largest(y))) for x, y in zip(*fold, strict=True)]
            for fold in zip(folds, ref_folds, strict=True)
        ]
        self.exponent = _scaling(exponent for fold in self._exponents for exponent in fold)

    def squared(self, choice: tuple[int, ...], rows: np.ndarray, references: np.ndarray) -> np.ndarray:
        """The squared distances of the pairs (rows[i], references[i]) in the collection `choice`."""
        models = [(self._folds[f][j], self._ref_folds[f][j]) for f, j in enumerate(choice)]
        exponent = _scaling(self._exponents[f][j] for f, j in enumerate(choice))
        ends = np.cumsum([queries.shape[1] for queries, _ in models])
        at_once = max(1, min(len(rows), self._memory // (BYTES_PER_DIMENSION * int(ends[-1]))))
        buffer = np.empty((at_once, ends[-1]))
        squared = np.empty(len(rows))
        for start in range(0, len(rows), at_once):
            pairs = slice(start, start + at_once)
            difference = buffer[: len(rows[pairs])]
            for (queries, refs), part in zip(models, np.split(difference, ends[:-1], axis=1), strict=True):
                of_query, of_reference = queries[rows[pairs]], refs[references[pairs]]
                if exponent:
                    of_query, of_reference = np.ldexp(of_query, exponent), np.ldexp(of_reference, exponent)
                np.subtract(of_query, of_reference, out=part, dtype=np.float64)
            squared[pairs] = np.square(difference, out=difference).sum(axis=1)
        return squared


def _largest(rows: np.ndarray) -> float:
    return max(float(rows.max()), -float(rows.min()))


def _exponent(largest: float) -> int:
    # Beyond all others where there is nothing to scale, so that the other models of a collection decide.
    return -int(np.frexp(largest)[1]) if largest else 1100


def _scaling(exponents: Iterable[int]) -> int:
    smallest = min(exponents)
    return 0 if abs(smallest) <= _IN_RANGE else smallest
