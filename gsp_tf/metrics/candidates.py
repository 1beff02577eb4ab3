"""Pairs of a query and a reference that may be neighbours, in one collection of models or in several."""

from collections.abc import Iterator

import numpy as np

# References whose distances are in memory at a time, unless more neighbours are wanted.
_TILE = 1024
# The limits are tightened each time that so many times as many references have been seen.
_GROWTH = 4

# Bytes that a query needs for each reference of a tile, and for each candidate, at worst: numbers in float64, indices
# and masks for all, and for each model the distance.
_TILE_BYTES, _TILE_BYTES_PER_MODEL = 40, 8
_PAIR_BYTES, _PAIR_NUMBERS_PER_MODEL = 112, 2


def tile_width(num_references: int, wanted: int) -> int:
    return min(num_references, max(_TILE, 2 * wanted))


def tile_bytes(num_references: int, wanted: int, num_models: int) -> int:
    """Working memory in bytes that each query of a block needs for the distances of a tile."""
    return tile_width(num_references, wanted) * (_TILE_BYTES + _TILE_BYTES_PER_MODEL * num_models)


def pair_bytes(num_models: int, dtype: type = np.float64) -> int:
    """Working memory in bytes that each candidate needs."""
    return _PAIR_BYTES + _PAIR_NUMBERS_PER_MODEL * num_models * np.dtype(dtype).itemsize


def collection_sums(folds: list[list[np.ndarray]], total: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Sums of one array a fold, in the order of itertools.product; partial sums are shared."""
    for array in folds[0]:
        part = array if total is None else total + array
        if len(folds) == 1:
            yield part
        else:
            yield from collection_sums(folds[1:], part)


def smallest_sum(folds: list[list[np.ndarray]]) -> np.ndarray:
    """A bound from below of all `collection_sums`, for rounding is monotone and the order of the sum is theirs."""
    total = None
    for arrays in folds:
        smallest = arrays[0]
        for array in arrays[1:]:
            smallest = np.minimum(smallest, array)
        total = smallest if total is None else total + smallest
    return total


def mean_sum(folds: list[list[np.ndarray]]) -> np.ndarray:
    """Mean of all `collection_sums`."""
    total = None
    for arrays in folds:
        mean = sum(arrays[1:], arrays[0]) / arrays[0].dtype.type(len(arrays)) if len(arrays) > 1 else arrays[0]
        total = mean if total is None else total + mean
    return total


def order_by_row(row: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The order by row, and then by value; any order of equal values. Several times as fast as numpy.lexsort."""
    order = np.argsort(values)
    # Numbers of 16 bits are sorted in linear time; a block has fewer queries than they can count.
    return order[np.argsort(row[order].astype(np.uint16), kind="stable")]


class TooManyCandidatesError(Exception):
    """The candidates of a block of queries take more memory than there is; a smaller block has fewer."""


class Candidates:
    """Pairs that surely hold the `wanted` nearest references of the queries `rows` in every collection.

    The distance of a collection is the sum of its models' distances. Of any subset of the references, the `wanted`-th
    smallest approximate distance, widened by twice its error, is a limit that no neighbour exceeds. It comes from the
    references seen so far, those that are nearest on average over the models, and tightens as more are seen. A
    reference is kept if the sum of each fold's smallest distance is within the largest limit of the collections.

    Distances are in float32, and in float64 for queries whose neighbours float32 does not tell from the others.

    Args:
        folds: lists over folds of lists over repeats of ApproximateDistances.
        rows: (b,) indices of the queries.
        copies: (n,) how many equal references each of the references stands for.
        wanted: how many neighbours, at most n.
        memory_bytes: bound of the working memory for the candidates and their copies.

    Raises:
        TooManyCandidatesError: they take more.

    After the constructor, `row` (P,) says which of `rows` and `reference` (P,) which reference; `row` is sorted.
    """

    def __init__(self, folds, rows: np.ndarray, copies: np.ndarray, wanted: int, memory_bytes: int):
        self._folds, self._copies, self._wanted = folds, copies, wanted
        self._tile, num_references = tile_width(len(copies), wanted), len(copies)
        for dtype in (np.float32, np.float64):
            self._start(rows, dtype)
            if self._is_sharp():
                break
        self._max_pairs = memory_bytes // pair_bytes(sum(len(fold) for fold in folds), dtype)
        refreshed = start = self._tile
        self._collect(0)
        while start < num_references:
            self._measure(start, min(start + self._tile, num_references))
            self._collect(start)
            start += self._tile
            if start >= min(_GROWTH * refreshed, num_references):
                self._refresh()
                refreshed = start
        if refreshed == self._tile:
            self._refresh()
        del self._factors, self._products, self._distances

    def of_collections(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For every collection the candidates' numbers, those of its own neighbours, and their distances."""
        for limit, total in zip(self._limits, collection_sums(self._values), strict=True):
            chosen = np.flatnonzero(total <= (limit + 2 * self.error)[self.row])
            yield chosen, total[chosen]

    def _start(self, rows, dtype):
        """Measure the first tile, and take the first limits from it."""
        factors = [[model.query_factors(rows, dtype, len(self._folds)) for model in fold] for fold in self._folds]
        self._factors = [[factor for factor, _ in fold] for fold in factors]
        # Rounded up, to be of the distances' type.
        error = sum(np.max([bound for _, bound in fold], axis=0) for fold in factors)
        self.error = np.nextafter(error.astype(dtype), dtype(np.inf))
        self._products = [[np.empty((len(rows), self._tile), dtype) for _ in fold] for fold in self._folds]
        self.row = self.reference = np.empty(0, np.intp)
        self._values = [[np.empty(0, dtype) for _ in fold] for fold in self._folds]
        self._chunks, self._count = [], 0

        self._measure(0, self._tile)
        number = self._num_averaged()
        order = np.argpartition(mean_sum(self._distances), number - 1, axis=1)[:, :number]
        nearest = [[np.take_along_axis(x, order, axis=1) for x in fold] for fold in self._distances]
        self._limits = self._limits_of(nearest)

    def _num_averaged(self) -> int:
        """How many of the references nearest on average have, for each collection, its `wanted` nearest or nearly."""
        return min(self._tile, self._wanted * (1 if all(len(fold) == 1 for fold in self._folds) else 4))

    def _limits_of(self, folds):
        """(collections, b): the `wanted`-th smallest distance of the references given, arrays of shape (b, a)."""
        last = self._wanted - 1
        # Copied, for a view of the column would keep the matrix.
        return np.stack([np.partition(total, last, axis=1)[:, last].copy() for total in collection_sums(folds)])

    def _measure(self, start, stop):
        self._distances = [
            [
                model.products(factor, start, stop, out[:, : stop - start])
                for model, factor, out in zip(*lists, strict=True)
            ]
            for lists in zip(self._folds, self._factors, self._products, strict=True)
        ]

    def _is_sharp(self) -> bool:
        """Whether the error lets few more references in, of the tile measured, than there would be without it."""
        total = next(collection_sums(self._distances))
        limit = self._limits_of([[total]])[0]
        without = np.count_nonzero(total <= limit[:, None])
        return np.count_nonzero(total <= (limit + 2 * self.error)[:, None]) <= 3 * without

    def _collect(self, start):
        """Keep the pairs of the tile measured last, the first of which is reference `start`."""
        smallest = smallest_sum(self._distances)
        mask = smallest <= (self._limits.max(axis=0) + 2 * self.error)[:, None]
        self._check_count(self._count + np.count_nonzero(mask))
        # Many times as fast as numpy.nonzero of the matrix.
        row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
        values = [[x[row, column] for x in fold] for fold in self._distances]
        column += start
        self._chunks.append((row, column, values))
        self._count += int(self._copies[column].sum())
        self._check_count(self._count)

    def _check_count(self, count):
        if count > self._max_pairs:
            raise TooManyCandidatesError

    def _refresh(self):
        """Sort the pairs by query, tighten the limits and drop the pairs beyond them."""
        chunks = [(self.row, self.reference, self._values), *self._chunks]
        row, reference = (np.concatenate([chunk[i] for chunk in chunks]) for i in range(2))
        values = [
            [np.concatenate(parts) for parts in zip(*fold, strict=True)]
            for fold in zip(*(chunk[2] for chunk in chunks), strict=True)
        ]
        chunks = self._chunks = self._values = None
        order = order_by_row(row, mean_sum(values))
        starts = np.searchsorted(row[order], np.arange(len(self.error) + 1))
        index = starts[:-1, None] + np.arange(min(self._num_averaged(), np.diff(starts).max()))
        exists = index < starts[1:, None]
        nearest = order[np.where(exists, index, 0)]
        limits = self._limits_of([[np.where(exists, x[nearest], np.inf) for x in fold] for fold in values])
        self._limits = np.minimum(self._limits, limits)

        limit = self._limits.max(axis=0) + 2 * self.error
        order = order[(smallest_sum(values) <= limit[row])[order]]
        self.row, self.reference = row[order], reference[order]
        self._values = [[x[order] for x in fold] for fold in values]
        self._chunks, self._count = [], int(self._copies[self.reference].sum())
