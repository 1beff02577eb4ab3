"""Averages of the retrieval metrics over the queries, for every collection of models."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import numpy as np
from threadpoolctl import ThreadpoolController

from gsp_tf.metrics.checks import check_memory, checked_ks
from gsp_tf.metrics.neighbour_search import MAX_QUERIES, NeighbourSearch, query_bytes

# Scores are added up in units of 2^-52, as whole numbers, whose sum does not depend on the order.
_UNIT_BITS = 52
# Blocks of fewer queries are not worth a thread.
_FEW_QUERIES = 64


def average_scores(
    folds: list[list[np.ndarray]],
    labels: np.ndarray,
    ref_folds: list[list[np.ndarray]] | None,
    ref_labels: np.ndarray | None,
    ks: Sequence[int],
    memory_bytes: int,
    progress: Callable[[int], None] | None = None,
) -> list[tuple[tuple[int, ...], dict[str, float]]]:
    """(choice, metrics) of every collection, in the order of itertools.product; see `retrieval_metrics`.

    Args:
        folds: list over folds of lists over repeats of embeddings (B, d), checked.
        labels: (B,) int64.
        ref_folds: the references likewise, (N, d), or None.
        ref_labels: (N,) int64, or None.
        ks: not checked yet.
        memory_bytes: not checked yet; for all threads together.
        progress: called with the number of queries that are finished, each time that some are.
    """
    exclude_self = ref_folds is None
    if exclude_self:
        ref_labels = labels
    positives = _count_positives(labels, ref_labels) - int(exclude_self)
    queries = np.flatnonzero(positives > 0)
    if not len(queries):
        raise ValueError(
            "labels: no query has a reference of its own class, so there is nothing to average; pass at "
            "least two samples of a class, or references of the queries' classes."
        )
    # Queries of a block have the same number of neighbours to find, or nearly.
    queries = queries[np.argsort(positives[queries], kind="stable")]
    ks = checked_ks(ks, len(ref_labels) - int(exclude_self))

    dims = [x.shape[1] for fold in folds for x in fold]
    smallest = query_bytes(len(ref_labels), sum(dims), len(dims))
    check_memory(memory_bytes, smallest, len(ref_labels), sum(dims))
    libraries = ThreadpoolController()
    threads = max(1, min(_blas_threads(libraries), int(memory_bytes) // smallest))
    search = NeighbourSearch(folds, ref_folds, int(memory_bytes) // threads)

    def sums_of(rows: np.ndarray) -> tuple[np.ndarray, int, int]:
        """Sums over a block of queries (collections, metrics) in units, its size, and the size that fitted."""
        sums = np.zeros((len(search.choices), 3 + len(ks)), np.int64)
        fitted = len(rows)
        for some, collection, found in search.nearest(rows, max(int(positives[rows].max()), *ks, 1)):
            hits = ref_labels[found] == labels[some][:, None]
            for i, scores in enumerate(_scores(hits, positives[some], ks)):
                sums[collection, i] += np.rint(np.ldexp(scores, _UNIT_BITS)).astype(np.int64).sum()
            fitted = min(fitted, len(some))
        return sums, len(rows), fitted

    def size_at(start: int) -> int:
        last = queries[start : start + MAX_QUERIES][-1]
        size = search.block_size(max(int(positives[last]), *ks, 1))
        return min(size, max(_FEW_QUERIES, -(-len(queries) // threads)))

    # Python's whole numbers, for those of 64 bits hold the sum over a block but not over all.
    totals = np.zeros((len(search.choices), 3 + len(ks)), object)
    finished = 0
    # One thread a block, for what is not a matrix product takes one; the products' own threads would be in the way.
    with libraries.limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for sums, size in _in_blocks(pool, threads, sums_of, size_at, queries):
            totals += sums
            finished += size
            if progress is not None:
                progress(finished)
    names = ("P@1", "P@R", "MAP@R", *(f"R@{k}" for k in ks))
    count = len(queries) << _UNIT_BITS
    return [
        (choice, {name: total / count for name, total in zip(names, row, strict=True)})
        for choice, row in zip(search.choices, totals, strict=True)
    ]


def _in_blocks(pool, threads, sums_of, size_at, queries):
    """(sums, number of queries) of blocks of the queries, as they are finished."""
    start, largest, running = 0, len(queries), set()
    while start < len(queries) or running:
        while start < len(queries) and len(running) < threads:
            size = min(size_at(start), largest)
            running.add(pool.submit(sums_of, queries[start : start + size]))
            start += size
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for job in done:
            sums, size, fitted = job.result()
            # A block that had to be split cost time.
            largest = fitted if fitted < size else max(largest, size + size // 4 + 1)
            yield sums, size


def _blas_threads(libraries: ThreadpoolController) -> int:
    """How many threads a matrix product may take."""
    numbers = [library["num_threads"] for library in libraries.info() if library["user_api"] == "blas"]
    return max(numbers, default=os.cpu_count() or 1)


def _scores(hits: np.ndarray, positives: np.ndarray, ks: Sequence[int]) -> list[np.ndarray]:
    """P@1, P@R, MAP@R and R@k of each query; `hits` (b, k) is true where the k-th nearest is of the query's class."""
    found = np.cumsum(hits, axis=1)
    last = positives[:, None] - 1
    # A running sum adds in the order of k, so that its value at R_i does not depend on the block's largest R.
    precision = np.cumsum(np.where(hits, found / np.arange(1, hits.shape[1] + 1), 0.0), axis=1)
    return [
        hits[:, 0].astype(float),
        np.take_along_axis(found, last, axis=1)[:, 0] / positives,
        np.take_along_axis(precision, last, axis=1)[:, 0] / positives,
        *((found[:, k - 1] > 0).astype(float) for k in ks),
    ]


def _count_positives(labels: np.ndarray, ref_labels: np.ndarray) -> np.ndarray:
    ordered = np.sort(ref_labels)
    return np.searchsorted(ordered, labels, side="right") - np.searchsorted(ordered, labels, side="left")
