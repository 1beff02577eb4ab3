"""Retrieval metrics of embeddings: P@1, P@R, MAP@R and R@k."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np

from gsp_tf.metrics.neighbour_search import NeighbourSearch, query_bytes


def retrieval_metrics(
    embeddings,
    labels,
    ref_embeddings=None,
    ref_labels=None,
    ks: Sequence[int] = (1,),
    memory_bytes: int = 256 * 2**20,
) -> dict[str, float]:
    """Measures how well the nearest references of each query are of its class.

    With R_i the number of references of query i's class, and P@k_i the share of that class among its k
    nearest:

        P@1    mean of P@k_i at k = 1
        P@R    mean of P@k_i at k = R_i
        MAP@R  mean of (1 / R_i) sum_{k <= R_i} P@k_i [the k-th nearest is of i's class]
        R@k    share of queries with at least one of the class among the k nearest

    Queries with R_i = 0 are left out of every average. Distances are Euclidean, in float64, between the
    embeddings as given (nothing is normalised). References equally far are ordered by their index, so a
    result is reproducible; it does not depend on `memory_bytes`.

    Args:
        embeddings: (B, d) finite numbers, the queries.
        labels: (B,) or (B, 1) integers, or floats that are whole numbers.
        ref_embeddings: (N, d) references, e.g. a gallery. None: the queries are the references, and a query
            is not its own reference. It is left out by index: another row equal to it stays.
        ref_labels: (N,) or (N, 1), given together with `ref_embeddings`.
        ks: the k of R@k, each from 1 to the number of references of a query.
        memory_bytes: bound of the working memory in bytes, beside float64 copies of the embeddings.

    Returns:
        Dictionary of floats in [0, 1] with the keys "P@1", "P@R", "MAP@R" and "R@k" for each k.

    Raises:
        ValueError: shapes that do not fit, embeddings that are not finite, labels that are not whole numbers,
            a k above the number of references, too small a `memory_bytes`, or no query with a reference of its
            class.
        TypeError: `ks` is not a sequence.

    Example:
        >>> import numpy as np
        >>> embeddings = np.array([[0.0], [1.0], [2.5], [4.5]])
        >>> measured = retrieval_metrics(embeddings, np.array([0, 0, 1, 0]), ks=(2,))
        >>> {name: round(value, 3) for name, value in measured.items()}
        {'P@1': 0.667, 'P@R': 0.5, 'MAP@R': 0.417, 'R@2': 1.0}

    Source: K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020, which introduces
    MAP@R to metric learning.
    """
    if (ref_embeddings is None) != (ref_labels is None):
        missing = "ref_embeddings" if ref_embeddings is None else "ref_labels"
        raise ValueError(f"{missing} is missing: pass ref_embeddings and ref_labels together, or neither.")
    embeddings, labels = _checked_set("", embeddings, labels)
    exclude_self = ref_embeddings is None
    if exclude_self:
        ref_labels = labels
    else:
        ref_embeddings, ref_labels = _checked_set("ref_", ref_embeddings, ref_labels)
        if ref_embeddings.shape[1] != embeddings.shape[1]:
            raise ValueError(
                f"ref_embeddings must have as many columns as embeddings ({embeddings.shape[1]}), got "
                f"{ref_embeddings.shape[1]}: embed queries and references with the same model."
            )
    num_references = len(ref_labels) - int(exclude_self)

    positives = _count_positives(labels, ref_labels) - int(exclude_self)
    eligible = np.flatnonzero(positives > 0)
    if not len(eligible):
        raise ValueError(
            "labels: no query has a reference of its own class, so there is nothing to average; pass at "
            "least two samples of a class, or references of the queries' classes."
        )
    ks = _checked_ks(ks, num_references)
    block = _queries_per_block(memory_bytes, len(ref_labels), embeddings.shape[1])

    search = NeighbourSearch(embeddings, ref_embeddings)
    scores = {name: np.empty(len(eligible)) for name in ("P@1", "P@R", "MAP@R", *(f"R@{k}" for k in ks))}
    for start in range(0, len(eligible), block):
        rows = eligible[start : start + block]
        needed = max(int(positives[rows].max()), *ks, 1)
        hits = ref_labels[search.nearest(rows, needed)] == labels[rows][:, None]
        for name, values in _scores(hits, positives[rows], ks).items():
            scores[name][start : start + block] = values
    return {name: float(values.mean()) for name, values in scores.items()}


def _scores(hits: np.ndarray, positives: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Metrics of each query from `hits` (b, k), true where the k-th nearest is of the query's class."""
    found = np.cumsum(hits, axis=1)
    last = positives[:, None] - 1
    # A running sum adds in the order of k, so that its value at R_i does not depend on the block's largest R.
    precision = np.cumsum(np.where(hits, found / np.arange(1, hits.shape[1] + 1), 0.0), axis=1)
    return {
        "P@1": hits[:, 0],
        "P@R": np.take_along_axis(found, last, axis=1)[:, 0] / positives,
        "MAP@R": np.take_along_axis(precision, last, axis=1)[:, 0] / positives,
        **{f"R@{k}": found[:, k - 1] > 0 for k in ks},
    }


def _count_positives(labels: np.ndarray, ref_labels: np.ndarray) -> np.ndarray:
    ordered = np.sort(ref_labels)
    return np.searchsorted(ordered, labels, side="right") - np.searchsorted(ordered, labels, side="left")


def _checked_set(prefix: str, embeddings, labels) -> tuple[np.ndarray, np.ndarray]:
    name = f"{prefix}embeddings"
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise ValueError(
            f"{name} must have shape (samples, dimensions), neither of them 0, got shape {embeddings.shape}; "
            "reshape to one row a sample."
        )
    if embeddings.dtype.kind in "cOSUMm":
        raise ValueError(f"{name} must hold real numbers, got dtype {embeddings.dtype}; convert to float32.")
    embeddings = embeddings.astype(np.float64)
    broken = int((~np.isfinite(embeddings)).any(axis=1).sum())
    if broken:
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in {broken} of {len(embeddings)} rows; check "
            "the model that made them."
        )
    labels = _checked_labels(f"{prefix}labels", labels)
    if len(labels) != len(embeddings):
        raise ValueError(
            f"{prefix}labels must have one label for each of the {len(embeddings)} rows of {name}, "
            f"got {len(labels)}."
        )
    return embeddings, labels


def _checked_labels(name: str, labels) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} must have shape (samples,) or (samples, 1), got shape {labels.shape}.")
    if labels.dtype.kind == "f" and np.all(np.abs(labels) < 2.0**53) and np.all(labels == np.rint(labels)):
        return labels.astype(np.int64)
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"{name} must be integers, or floats that are whole numbers, got other values of dtype "
            f"{labels.dtype}; number the classes from 0."
        )
    return labels.astype(np.int64)


def _checked_ks(ks: Sequence[int], num_references: int) -> tuple[int, ...]:
    if not isinstance(ks, Sequence) or isinstance(ks, str):
        raise TypeError(f"ks must be a sequence of positive integers such as (1, 10), got {ks!r}.")
    for k in ks:
        if not isinstance(k, Integral) or isinstance(k, bool) or not 1 <= k <= num_references:
            raise ValueError(
                f"ks must be integers from 1 to {num_references}, the number of references of a query, got "
                f"{k!r}; leave it out or pass more references."
            )
    return tuple(int(k) for k in ks)


def _queries_per_block(memory_bytes: int, num_references: int, dim: int) -> int:
    one_query = query_bytes(num_references, dim)
    if not isinstance(memory_bytes, Integral) or isinstance(memory_bytes, bool) or memory_bytes < one_query:
        raise ValueError(
            f"memory_bytes must be an integer of at least {one_query}, what one query needs with "
            f"{num_references} references of {dim} dimensions, got {memory_bytes!r}."
        )
    return int(memory_bytes) // one_query
