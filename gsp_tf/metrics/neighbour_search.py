"""Exact nearest neighbours whose order depends on the data alone, not on block sizes or on BLAS."""

import numpy as np

# One query's share of a block, in bytes: at worst every reference is a candidate of every query, and then the
# index, distance and sorting arrays of `NeighbourSearch.nearest` take less than 96 bytes a reference. The
# difference vectors take three times 8 bytes a dimension, the centred query 16 more.
_BYTES_PER_REFERENCE = 96
_BYTES_PER_DIMENSION = 40


def query_bytes(num_references: int, dim: int) -> int:
    """Working memory in bytes that one query needs, at worst, in `NeighbourSearch.nearest`."""
    return _BYTES_PER_REFERENCE * num_references + _BYTES_PER_DIMENSION * dim


class NeighbourSearch:
    """Euclidean nearest references of queries, ties in the order of the references.

    A matrix product gives every squared distance with a rounding error that depends on the shapes BLAS is
    called with. It only proposes: all references that the error bound cannot rule out are measured again as
    sum((q - r)^2) in float64, each pair by itself. So the same pair has the same distance in every block, and
    equal references are equally far. Equal references are searched once and expanded at the end.

    Args:
        queries: float64 array (Q, d), finite.
        references: float64 array (N, d), finite; None when the queries are the references, and then a query
            is not its own neighbour (other rows equal to it are).

    Example:
        >>> import numpy as np
        >>> search = NeighbourSearch(np.array([[0.0], [1.0], [5.0]]), None)
        >>> search.nearest(np.array([0, 2]), k=2)
        array([[1, 2],
               [1, 0]])
    """

    def __init__(self, queries: np.ndarray, references: np.ndarray | None):
        self.exclude_self = references is None
        largest = max(np.abs(rows).max(initial=0.0) for rows in (queries, references) if rows is not None)
        # A power of two changes no digit, and keeps squares of very large or very small values in range.
        # Adding 0.0 turns -0.0 into 0.0, so that equal rows have equal bytes.
        exponent = -int(np.frexp(largest)[1])
        self.queries = np.ldexp(queries, exponent) + 0.0
        references = self.queries if references is None else np.ldexp(references, exponent) + 0.0

        row_type = np.dtype((np.void, references.dtype.itemsize * references.shape[1]))
        row_bytes = np.ascontiguousarray(references).view(row_type).reshape(-1)
        _, first, inverse, self.copies = np.unique(
            row_bytes, return_index=True, return_inverse=True, return_counts=True
        )
        self.distinct = references[first]
        self.members = np.argsort(inverse.reshape(-1), kind="stable")
        self.first_member = np.cumsum(self.copies) - self.copies

        # Distances do not feel a common shift, the rounding error of the matrix product does.
        self.centre = self.distinct.mean(axis=0)
        self.centred = self.distinct - self.centre
        self.squares = np.square(self.centred).sum(axis=1)

    def nearest(self, rows: np.ndarray, k: int) -> np.ndarray:
        """Indices (len(rows), k) of the k nearest references of the queries in `rows`, the nearest first.

        `k` may not exceed the number of references (less one where the queries are the references).
        """
        queries = self.queries[rows]
        row, candidate = self._candidates(queries, k)
        squared = self._squared_distances(queries, row, candidate)

        copies = self.copies[candidate]
        starts = np.repeat(self.first_member[candidate] - (np.cumsum(copies) - copies), copies)
        starts += np.arange(len(starts))
        reference = self.members[starts]
        row, squared = np.repeat(row, copies), np.repeat(squared, copies)
        if self.exclude_self:
            others = reference != rows[row]
            row, squared, reference = row[others], squared[others], reference[others]

        order = np.lexsort((reference, squared, row))
        row_start = np.searchsorted(row, np.arange(len(rows)))
        return reference[order[row_start[:, None] + np.arange(k)]]

    def _candidates(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (row of `queries`, distinct reference) that surely hold the k nearest, in order of rows."""
        # The query itself may be the only copy of one of the distinct references.
        wanted = k + 1
        if wanted >= len(self.distinct):
            pairs = np.indices((len(queries), len(self.distinct)))
            return pairs[0].reshape(-1), pairs[1].reshape(-1)
        centred = queries - self.centre
        query_squares = np.square(centred).sum(axis=1)
        squared = centred @ self.centred.T
        squared *= -2.0
        squared += self.squares
        squared += query_squares[:, None]
        # Standard bound for inner products of length d, doubled: the k-th value and the compared one both
        # err.
        reach = np.sqrt(query_squares) + np.sqrt(self.squares.max())
        slack = 2 * (queries.shape[1] + 8) * np.finfo(np.float64).eps * np.square(reach)
        limit = np.partition(squared, wanted - 1, axis=1)[:, wanted - 1] + slack
        return np.nonzero(squared <= limit[:, None])

    def _squared_distances(self, queries: np.ndarray, row: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        """sum((q - r)^2) of each pair, as many pairs at a time as there are queries, to bound the memory."""
        squared = np.empty(len(row))
        for start in range(0, len(row), len(queries)):
            pairs = slice(start, start + len(queries))
            difference = queries[row[pairs]] - self.distinct[candidate[pairs]]
            squared[pairs] = np.square(difference).sum(axis=1)
        return squared
