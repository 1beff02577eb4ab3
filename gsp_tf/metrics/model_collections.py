"""Retrieval metrics of the concatenated embeddings of every collection of one model a fold."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gsp_tf.metrics.averages import average_scores
from gsp_tf.metrics.checks import check_both_or_neither, check_columns, checked_embeddings, checked_labels


class CollectionMetrics(NamedTuple):
    """`choice`: the number of the repeat taken from each fold; `metrics`: as `retrieval_metrics` gives them."""

    choice: tuple[int, ...]
    metrics: dict[str, float]


def collection_metrics(
    embeddings: Sequence[Sequence],
    labels,
    ref_embeddings: Sequence[Sequence] | None = None,
    ref_labels=None,
    ks: Sequence[int] = (1,),
    memory_bytes: int = 256 * 2**20,
    progress: Callable[[int], None] | None = None,
) -> list[CollectionMetrics]:
    """Measures every ensemble ("collection") that takes one model from each fold and concatenates their embeddings.

    With F folds of K_0, ..., K_{F-1} trained models there are K_0 ··· K_{F-1} collections, 3^4 = 81 in the fair
    protocol. The metrics are those of `retrieval_metrics` for the concatenated embeddings (B, d_0 + ... + d_{F-1}), to
    the last digit. The squared distance of a concatenation is the sum of its models' squared distances, which are
    computed once for each model, not for each collection, and for a block of queries at a time.

    Args:
        embeddings: list over folds of lists over repeats of (B, d) finite numbers, the queries. The models may differ
            in d, and the folds in their number of repeats.
        labels: (B,) or (B, 1) integers, or floats that are whole numbers.
        ref_embeddings: references, e.g. a gallery, of the same models: lists as in `embeddings` of (N, d). None: the
            queries are the references, and a query is not its own reference.
        ref_labels: (N,) or (N, 1), given together with `ref_embeddings`.
        ks: the k of R@k, each from 1 to the number of references of a query.
        memory_bytes: bound of the working memory in bytes, of all threads together, beside a float32 copy of the
            references and a few copies of one model's.
        progress: called with the number of queries finished so far, each time that some are. Queries without a
            reference of their class are not among them.

    Returns:
        List of CollectionMetrics (choice, metrics) in the order of
        itertools.product(range(K_0), ..., range(K_{F-1})).

    Raises:
        ValueError: lists without models, embeddings that differ in their number of rows, and what `retrieval_metrics`
            raises.
        TypeError: `ks` is not a sequence.

    Example:
        >>> import numpy as np
        >>> first, second = np.array([[0.0], [1.0], [2.5], [4.5]]), np.array([[0.0], [3.0], [1.5], [2.0]])
        >>> for choice, metrics in collection_metrics([[first, second], [second]], [0, 0, 1, 0]):
        ...     print(choice, round(metrics["MAP@R"], 3))
        (0, 0) 0.25
        (1, 0) 0.333

    Source: K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020, which concatenates the
    models of the folds.
    """
    check_both_or_neither(ref_embeddings, ref_labels)
    folds, labels = _checked_folds("", embeddings, labels)
    ref_folds = None
    if ref_embeddings is not None:
        ref_folds, ref_labels = _checked_folds("ref_", ref_embeddings, ref_labels)
        numbers, ref_numbers = [len(fold) for fold in folds], [len(fold) for fold in ref_folds]
        if numbers != ref_numbers:
            raise ValueError(
                f"ref_embeddings must be of the same models as embeddings, with {numbers} repeats in the folds, got "
                f"{ref_numbers}; embed queries and references with every model."
            )
        for f, (fold, ref_fold) in enumerate(zip(folds, ref_folds, strict=True)):
            for j, (queries, references) in enumerate(zip(fold, ref_fold, strict=True)):
                check_columns(f"embeddings[{f}][{j}]", queries, references)
    measured = average_scores(folds, labels, ref_folds, ref_labels, ks, memory_bytes, progress)
    return [CollectionMetrics(choice, metrics) for choice, metrics in measured]


def _checked_folds(prefix: str, embeddings, labels) -> tuple[list[list[np.ndarray]], np.ndarray]:
    name = f"{prefix}embeddings"
    nested = isinstance(embeddings, Sequence) and all(isinstance(fold, Sequence) for fold in embeddings)
    if not nested or not len(embeddings) or not all(len(fold) for fold in embeddings):
        raise ValueError(
            f"{name} must be a list over folds of lists over repeats, none of them empty, of arrays (samples, "
            f"dimensions), got {_outline(embeddings)}; for one array use retrieval_metrics."
        )
    folds = [
        [checked_embeddings(f"{name}[{f}][{j}]", array) for j, array in enumerate(fold)]
        for f, fold in enumerate(embeddings)
    ]
    labels = checked_labels(f"{prefix}labels", labels, len(folds[0][0]), f"{name}[0][0]")
    for f, fold in enumerate(folds):
        for j, array in enumerate(fold):
            if len(array) != len(labels):
                raise ValueError(
                    f"{name}[{f}][{j}] must have {len(labels)} rows as {name}[0][0] has, got {len(array)}: embed the "
                    "same samples, in the same order, with every model."
                )
    return folds, labels


def _outline(embeddings) -> str:
    if isinstance(embeddings, Sequence):
        return "lists of " + str([len(x) if isinstance(x, Sequence) else type(x).__name__ for x in embeddings])
    return type(embeddings).__name__
