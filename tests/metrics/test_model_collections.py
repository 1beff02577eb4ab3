import itertools
import tracemalloc

import numpy as np
import pytest

from gsp_tf.metrics import averages, collection_metrics, retrieval_metrics
from gsp_tf.metrics.neighbour_search import query_bytes
from tests.reference.retrieval import collection_metrics_loops

SAMPLES = 60
DIMS = ((3, 3), (2,), (4, 4, 4))
KINDS = ("random", "repeats alike", "duplicates", "integer grid", "one collapsed model", "float64", "far groups")


def random_case(kind, samples=SAMPLES, seed=0):
    """Embeddings of three folds with 2, 1 and 3 repeats, and labels, some of whose classes have one sample."""
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(0, samples // 9, size=samples - 5), np.arange(100, 105))
    folds = [[draw(kind, rng, samples, dim) for dim in dims] for dims in DIMS]
    if kind == "repeats alike":
        folds = [[fold[0] + np.float32(0.1) * x for x in fold] for fold in folds]
    if kind == "duplicates":
        copied = rng.integers(0, 9, size=samples)
        folds = [[x[copied] for x in fold] for fold in folds]
    if kind == "one collapsed model":
        folds[2][1][:] = 0.3
    return folds, labels


def draw(kind, rng, samples, dim):
    if kind == "integer grid":
        return rng.integers(-1, 2, size=(samples, dim)).astype(np.float32)
    x = rng.normal(size=(samples, dim))
    if kind == "far groups":
        # Distances within a group are below the rounding errors of float32, and of a matrix product in float64.
        return 1e-9 * x + rng.integers(0, 2, size=(samples, 1))
    return x if kind == "float64" else x.astype(np.float32)


def concatenated(folds, choice):
    return np.concatenate([fold[repeat] for fold, repeat in zip(folds, choice, strict=True)], axis=1)


def parts(folds, rows):
    return [[x[rows] for x in fold] for fold in folds]


def smallest_memory(folds, references):
    dims = [x.shape[1] for fold in folds for x in fold]
    return query_bytes(references, sum(dims), len(dims))


@pytest.mark.parametrize("kind", ["random", "duplicates", "integer grid"])
def test_equals_plain_loops(kind):
    folds, labels = random_case(kind, samples=30)
    expected = collection_metrics_loops(folds, labels, ks=(1, 4))
    measured = collection_metrics(folds, labels, ks=(1, 4))
    assert [collection.choice for collection in measured] == list(itertools.product(range(2), range(1), range(3)))
    for collection, (choice, metrics) in zip(measured, expected, strict=True):
        assert collection.choice == choice
        assert collection.metrics == pytest.approx(metrics, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_equals_the_concatenated_embeddings(kind, block):
    folds, labels = random_case(kind, seed=1)
    memory_bytes = block * smallest_memory(folds, SAMPLES)
    for choice, metrics in collection_metrics(folds, labels, ks=(1, 2, 59), memory_bytes=memory_bytes):
        assert metrics == retrieval_metrics(concatenated(folds, choice), labels, ks=(1, 2, 59))


@pytest.mark.parametrize("kind", KINDS)
def test_separate_gallery(kind):
    folds, labels = random_case(kind, seed=2)
    # Some rows are in both: nothing is left out when a gallery is given.
    queries, gallery = slice(0, 25), slice(15, SAMPLES)
    measured = collection_metrics(
        parts(folds, queries), labels[queries], parts(folds, gallery), labels[gallery], ks=(1, 45)
    )
    expected = collection_metrics_loops(
        parts(folds, queries), labels[queries], parts(folds, gallery), labels[gallery], ks=(1, 45)
    )
    for collection, (choice, metrics) in zip(measured, expected, strict=True):
        embeddings = concatenated(folds, choice)
        alone = retrieval_metrics(embeddings[queries], labels[queries], embeddings[gallery], labels[gallery], (1, 45))
        assert collection.metrics == alone
        if kind != "far groups":
            assert collection.metrics == pytest.approx(metrics, abs=1e-12)


@pytest.mark.parametrize("kind", ["repeats alike", "integer grid", "far groups"])
def test_more_references_than_are_measured_at_a_time(kind):
    folds, labels = random_case(kind, samples=5000, seed=3)
    queries = slice(0, 40)
    for choice, metrics in collection_metrics(parts(folds, queries), labels[queries] % 7, folds, labels % 7, ks=(3,)):
        embeddings = concatenated(folds, choice)
        assert metrics == retrieval_metrics(embeddings[queries], labels[queries] % 7, embeddings, labels % 7, ks=(3,))


def test_models_of_very_different_scale():
    folds, labels = random_case("float64", seed=4)
    folds = [[np.ldexp(x, shift) for x, shift in zip(fold, (-600, 0, 600), strict=False)] for fold in folds]
    folds[1] = [np.zeros_like(folds[1][0])]
    measured = collection_metrics(folds, labels)
    for choice, metrics in measured:
        assert metrics == retrieval_metrics(concatenated(folds, choice), labels)
    assert len({metrics["MAP@R"] for _, metrics in measured}) > 2


def test_one_model_is_retrieval_metrics():
    (fold, *_), labels = random_case("random")
    (collection,) = collection_metrics([fold[:1]], labels)
    assert collection == ((0,), retrieval_metrics(fold[0], labels))


def test_result_does_not_depend_on_memory_or_threads(monkeypatch):
    folds, labels = random_case("integer grid", samples=400, seed=5)
    smallest = smallest_memory(folds, 400)
    expected = collection_metrics(folds, labels)
    for threads, memory_bytes in ((1, smallest), (3, 3 * smallest), (3, 40 * smallest), (2, 2**28)):
        monkeypatch.setattr(averages, "_blas_threads", lambda libraries, threads=threads: threads)
        assert collection_metrics(folds, labels, memory_bytes=memory_bytes) == expected


@pytest.mark.parametrize("kind", ["random", "integer grid", "one class"])
@pytest.mark.parametrize("threads", [1, 2])
def test_working_memory_stays_under_the_bound(kind, threads, monkeypatch):
    monkeypatch.setattr(averages, "_blas_threads", lambda libraries: threads)
    samples, memory_bytes = 800, 4 * 2**20
    folds, labels = random_case(kind, samples)
    if kind == "one class":
        labels = np.zeros(samples, int)
    tracemalloc.start()
    try:
        collection_metrics(parts(folds, slice(0, 40)), labels[:40], folds, labels, memory_bytes=memory_bytes)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    inputs = sum(x.nbytes for fold in folds for x in fold)
    assert 0.2 * memory_bytes < peak < memory_bytes + 3 * inputs


def test_progress_counts_the_queries_that_are_averaged():
    folds, labels = random_case("random")
    seen = []
    memory_bytes = 20 * smallest_memory(folds, SAMPLES)
    assert collection_metrics(folds, labels, memory_bytes=memory_bytes, progress=seen.append)
    assert len(seen) > 1
    assert seen == sorted(set(seen))
    assert seen[-1] == np.isin(labels, np.flatnonzero(np.bincount(labels) > 1)).sum() < SAMPLES


GOOD = [[np.arange(8.0).reshape(4, 2)], [np.arange(4.0).reshape(4, 1), np.ones((4, 3))]]
LABELS = [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(embeddings=GOOD[0][0]), ValueError, "list over folds.*got ndarray; for one array use retrieval_metrics"),
        (dict(embeddings=[]), ValueError, r"none of them empty.*lists of \[\]"),
        (dict(embeddings=[GOOD[0], []]), ValueError, r"lists of \[1, 0\]"),
        (dict(embeddings=[GOOD[0][0]]), ValueError, r"lists of \['ndarray'\]"),
        (dict(embeddings=[GOOD[0], [GOOD[0][0], np.ones((3, 2))]]), ValueError, r"embeddings\[1\]\[1\] must have 4 rows.*got 3"),
        (dict(embeddings=[GOOD[0], [np.full((4, 2), np.nan)]]), ValueError, r"embeddings\[1\]\[0\] must be finite"),
        (dict(embeddings=[[np.ones(4)]]), ValueError, r"embeddings\[0\]\[0\] must have shape"),
        (dict(labels=[0, 0, 1]), ValueError, r"one label for each of the 4 rows of embeddings\[0\]\[0\], got 3"),
        (dict(labels=[0, 1, 2, 3]), ValueError, "no query has a reference"),
        (dict(ref_embeddings=GOOD), ValueError, "ref_labels is missing"),
        (dict(ref_labels=LABELS), ValueError, "ref_embeddings is missing"),
        (dict(ref_embeddings=GOOD[:1], ref_labels=LABELS), ValueError, r"\[1, 2\] repeats in the folds, got \[1\]"),
        (dict(ref_embeddings=[GOOD[0], GOOD[1][::-1]], ref_labels=LABELS), ValueError, r"ref_embeddings\[1\]\[0\] must have as many columns"),
        (dict(ks=(4,)), ValueError, "ks must be integers from 1 to 3.*got 4"),
        (dict(ks=1), TypeError, "ks must be a sequence"),
        (dict(memory_bytes=1000), ValueError, f"least {query_bytes(4, 6, 3)}.*4 references of 6 dimensions, got 1000"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        collection_metrics(**{"embeddings": GOOD, "labels": LABELS, **arguments})
    assert "\n" not in str(caught.value)
