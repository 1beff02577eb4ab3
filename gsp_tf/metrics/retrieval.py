"""Retrieval metrics of embeddings: P@1, P@R, MAP@R and R@k."""

from collections.abc import Sequence

from gsp_tf.metrics.averages import average_scores
from gsp_tf.metrics.checks import check_both_or_neither, check_columns, checked_embeddings, checked_labels


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
    result is reproducible; it depends neither on `memory_bytes` nor on the number of threads, which is that
    of a matrix product in NumPy.

    Args:
        embeddings: (B, d) finite numbers, the queries.
        labels: (B,) or (B, 1) integers, or floats that are whole numbers.
        ref_embeddings: (N, d) references, e.g. a gallery. None: the queries are the references, and a query
            is not its own reference. It is left out by index: another row equal to it stays.
        ref_labels: (N,) or (N, 1), given together with `ref_embeddings`.
        ks: the k of R@k, each from 1 to the number of references of a query.
        memory_bytes: bound of the working memory in bytes, of all threads together, beside a few copies of
            the embeddings.

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
    check_both_or_neither(ref_embeddings, ref_labels)
    embeddings = checked_embeddings("embeddings", embeddings)
    labels = checked_labels("labels", labels, len(embeddings), "embeddings")
    ref_folds = None
    if ref_embeddings is not None:
        ref_embeddings = checked_embeddings("ref_embeddings", ref_embeddings)
        ref_labels = checked_labels("ref_labels", ref_labels, len(ref_embeddings), "ref_embeddings")
        check_columns("embeddings", embeddings, ref_embeddings)
        ref_folds = [[ref_embeddings]]
    return average_scores([[embeddings]], labels, ref_folds, ref_labels, ks, memory_bytes)[0][1]
