"""Exact nearest neighbours whose order depends on the data alone, not on block sizes or on BLAS."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from gsp_tf.metrics.approximate_distances import ApproximateDistances
from gsp_tf.metrics.candidates import (
    Candidates,
    TooManyCandidatesError,
    order_by_row,
    pair_bytes,
    tile_bytes,
)
from gsp_tf.metrics.exact_distances import BYTES_PER_DIMENSION, ExactDistances

# Indices, hits and running sums of one neighbour of one query.
_NEIGHBOUR_BYTES = 64
# Products of larger blocks are no faster.
MAX_QUERIES = 512


def query_bytes(num_references: int, dim: int, num_models: int = 1) -> int:
    """Working memory in bytes that one query needs in `NeighbourSearch`, at worst: all references are candidates.

    `dim` is the sum of the models' dimensions. Half of it is for the distances of a tile, half for the candidates.
    """
    return 2 * (pair_bytes(num_models) * num_references + BYTES_PER_DIMENSION * dim)


class NeighbourSearch:
    """Euclidean nearest references of queries in every collection of models, ties in the order of the references.

    A collection has one model a fold; its embedding is the concatenation of theirs, so its squared distance is the sum
    of theirs. Matrix products give approximate distances, once for each model, and with them the candidates. Where two
    candidates' distances differ by less than their errors, both are measured again as sum((q - r)^2) of the
    concatenated embeddings in float64, each pair by itself. So the order is that of these float64 distances, the same
    in every block, and equal references are equally far. Equal references are searched once and expanded at the end.

    Args:
        folds: the queries: a list over folds of lists over repeats of (Q, d) arrays, float32 or float64, finite.
        ref_folds: the references likewise, (N, d); None when the queries are the references, and then a query is not
            its own neighbour (other rows equal to it are).
        memory_bytes: bound of the working memory of one call of `nearest`, at least `query_bytes`.

    Example:
        >>> import numpy as np
        >>> search = NeighbourSearch([[np.array([[0.0], [1.0], [5.0]])]], None, 10000)
        >>> [indices.tolist() for _, _, indices in search.nearest(np.array([0, 2]), k=2)]
        [[[1, 2], [1, 0]]]
    """

    def __init__(self, folds, ref_folds, memory_bytes: int):
        self.exclude_self = ref_folds is None
        ref_folds = folds if ref_folds is None else ref_folds
        self._memory = memory_bytes
        self.choices = list(product(*(range(len(fold)) for fold in folds)))
        self._find_copies([references for fold in ref_folds for references in fold])
        self._exact = ExactDistances(folds, ref_folds, memory_bytes // 8)
        self._models = [
            [ApproximateDistances(x, y, self._distinct, self._exact.exponent) for x, y in zip(*fold, strict=True)]
            for fold in zip(folds, ref_folds, strict=True)
        ]
        self._num_models = sum(len(fold) for fold in folds)

    def block_size(self, k: int) -> int:
        """How many queries `nearest` should be called with, at most."""
        one = tile_bytes(len(self._distinct), k + 1, self._num_models) + _NEIGHBOUR_BYTES * k
        return max(1, min(MAX_QUERIES, self._memory // 2 // one))

    def nearest(self, rows: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
        """The k nearest references of the queries in `rows`, in every collection of `choices`.

        Yields (some of the rows, the collection's number, indices (len(some rows), k), the nearest first). `k` may not
        exceed the number of references (less one where the queries are the references).
        """
        # The query itself may be the only copy of one of the distinct references.
        wanted = min(k + 1, len(self._distinct))
        # Equal references are equally far: no more than the first of them are among the nearest.
        copies = np.minimum(self._copies, k + 1)
        try:
            candidates = Candidates(self._models, rows, copies, wanted, self._memory // 2)
        except TooManyCandidatesError:
            for half in np.array_split(rows, 2):
                yield from self.nearest(half, k)
            return
        for number, (chosen, approximate) in enumerate(candidates.of_collections()):
            row, reference = candidates.row[chosen], candidates.reference[chosen]
            yield rows, number, self._ranked(number, rows, row, reference, approximate, candidates.error, k)

    def _ranked(self, number, rows, row, reference, approximate, error, k) -> np.ndarray:
        order = order_by_row(row, approximate)
        row, reference, approximate = row[order], reference[order], approximate[order]
        # Neighbours in a row that the approximate distances do not order belong to one run.
        joined = (row[1:] == row[:-1]) & (approximate[1:] - approximate[:-1] <= 2 * error[row[1:]])
        run = np.concatenate([[0], np.cumsum(~joined)])
        unclear = np.append(joined, False) | np.append(False, joined)
        squared = np.zeros(len(row))
        squared[unclear] = self._exact.squared(
            self.choices[number], rows[row[unclear]], self._distinct[reference[unclear]]
        )

        copies = np.minimum(self._copies[reference], k + 1)
        if len(self._members) > len(self._copies):
            unclear |= copies > 1
            row, run, squared, unclear = (np.repeat(x, copies) for x in (row, run, squared, unclear))
        member = np.repeat(self._first_member[reference] - (np.cumsum(copies) - copies), copies)
        reference = self._members[member + np.arange(len(member))]
        if self.exclude_self:
            others = reference != rows[row]
            row, run, squared, unclear, reference = (x[others] for x in (row, run, squared, unclear, reference))

        # Runs are contiguous: sorted among themselves, their pairs go back to the places that they have.
        places = np.flatnonzero(unclear)
        order = np.lexsort((reference[places], squared[places], run[places]))
        reference[places] = reference[places[order]]
        starts = np.searchsorted(row, np.arange(len(rows)))
        return reference[starts[:, None] + np.arange(k)]

    def _find_copies(self, models: list[np.ndarray]):
        """Number the references that differ in some model, and say which references each of them stands for."""
        groups = np.zeros(len(models[0]), np.int64)
        for references in models:
            groups = groups * len(groups) + _numbers_of_rows(references)
            groups = np.unique(groups, return_inverse=True)[1].reshape(-1)
        _, first, inverse, copies = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
        # In random order, for data sets are sorted by class: any first references are a sample of all.
        order = np.random.default_rng(0).permutation(len(first))
        self._distinct, self._copies = first[order], copies[order]
        number = np.empty_like(order)
        number[order] = np.arange(len(order))
        self._members = np.argsort(number[inverse.reshape(-1)], kind="stable")
        self._first_member = np.cumsum(self._copies) - self._copies


def _numbers_of_rows(rows: np.ndarray) -> np.ndarray:
    """A number for each row, the same for rows of equal bytes; rows that differ by 0.0 and -0.0 are equally far."""
    rows = np.ascontiguousarray(rows)
    row_type = np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))
    return np.unique(rows.view(row_type).reshape(-1), return_inverse=True)[1].reshape(-1)

