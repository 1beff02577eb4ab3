"""Squared distances of one model's embeddings by matrix products, with a bound of their error."""

import numpy as np

# So many references are centred at a time, in float64.
_ROWS = 1024
# Squared distances below it, in units of the largest value, may have lost digits to underflow in float64, too.
_SMALLEST = 2.0**-600


class ApproximateDistances:
    """|q - r|^2 = |q - c|^2 + |r - c|^2 - 2 (q - c)(r - c) as one matrix product, c the mean of the references.

    Distances do not feel the shift by c, the rounding errors of the product do. The squares are two more columns of
    the factors, [-2 (q - c), 1, |q - c|^2] and [r - c, |r - c|^2, 1], so that no further pass over the distances is
    needed. All are measured in units of 2^-exponent, which changes no digit.

    Args:
        queries: (Q, d) float32 or float64.
        references: (N, d) float32 or float64.
        order: (n,) indices of the references, in the order in which `products` takes them.
        exponent: a whole number such that the values times 2^exponent are neither large nor all very small.
    """

    def __init__(self, queries: np.ndarray, references: np.ndarray, order: np.ndarray, exponent: int):
        self._queries, self._references = queries, references
        self._order, self._exponent = order, exponent
        scaled = np.ldexp(references, exponent) if exponent else references
        self._centre = scaled.mean(axis=0, dtype=np.float64)
        self.dim = references.shape[1]
        self._single = np.empty((len(order), self.dim + 2), np.float32)
        largest = 0.0
        for start in range(0, len(order), _ROWS):
            factors, squares = self._reference_factors(start, min(start + _ROWS, len(order)))
            self._single[start : start + _ROWS] = factors
            largest = max(largest, float(squares.max()))
        self._radius = np.sqrt(largest)

    def query_factors(self, rows: np.ndarray, dtype: type, roundings: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """What `products` takes for the queries in `rows`, and the bound (len(rows),) of the products' errors.

        The bound is that of |product - d|, d the float64 value of sum((q - r)^2), for any order in which the product
        is summed up. `roundings`: how many more operations on the products the bound allows for.
        """
        centred, squares = self._centred(self._queries[rows])
        factors = np.empty((len(rows), self.dim + 2), dtype)
        factors[:, :-2], factors[:, -2], factors[:, -1] = -2.0 * centred, 1.0, squares
        # A sum of d products errs by d units of last place. In float64, squares and d itself have such errors, too.
        roundings += 16 + (1.1 if dtype is np.float32 else 3.3) * self.dim
        relative, absolute = float(np.finfo(dtype).eps) / 2, max(float(np.finfo(dtype).tiny), _SMALLEST)
        error = roundings * (relative * np.square(np.sqrt(squares) + self._radius) + absolute)
        return factors, error

    def products(self, query_factors: np.ndarray, start: int, stop: int, out: np.ndarray) -> np.ndarray:
        """Approximate squared distances to the references order[start:stop], into `out`."""
        if query_factors.dtype == np.float32:
            return np.matmul(query_factors, self._single[start:stop].T, out=out)
        for begin in range(start, stop, _ROWS):
            end = min(begin + _ROWS, stop)
            np.matmul(query_factors, self._reference_factors(begin, end)[0].T, out=out[:, begin - start : end - start])
        return out

    def _reference_factors(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        centred, squares = self._centred(self._references[self._order[start:stop]])
        return np.column_stack([centred, squares, np.ones_like(squares)]), squares

    def _centred(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._exponent:
            rows = np.ldexp(rows.astype(np.float64), self._exponent)
        centred = np.subtract(rows, self._centre, dtype=np.float64)
        return centred, np.square(centred).sum(axis=1)
