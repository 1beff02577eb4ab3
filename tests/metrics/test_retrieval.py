import tracemalloc

import numpy as np
import pytest

from gsp_tf.metrics import averages, retrieval_metrics
from gsp_tf.metrics.neighbour_search import NeighbourSearch, query_bytes
from tests.reference.retrieval import retrieval_metrics_loops


def random_case(kind, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, size=60)
    if kind == "random":
        embeddings = rng.normal(size=(60, 5)).astype(np.float32)
    elif kind == "duplicates":
        # Sixty samples of nine distinct rows: most of the order is decided by the index.
        embeddings = rng.normal(size=(9, 5))[rng.integers(0, 9, size=60)]
    elif kind == "integer grid":
        # Distances of whole numbers are exact, so distinct rows tie exactly as well.
        embeddings = rng.integers(-1, 2, size=(60, 3)).astype(np.float32)
    elif kind == "all equal":
        embeddings = np.full((60, 4), 0.1, np.float32)
    elif kind == "singletons":
        labels = np.concatenate([np.repeat([0, 1, 2], 5), np.arange(10, 55)])
        embeddings = rng.normal(size=(60, 2))
    elif kind == "far from the origin":
        embeddings = 1e6 + rng.normal(size=(60, 5))
    return embeddings, labels


def nearest(queries, gallery, k, memory_bytes=2**24):
    search = NeighbourSearch([[queries]], None if gallery is None else [[gallery]], memory_bytes)
    parts = [(rows, found) for rows, _, found in search.nearest(np.arange(len(queries)), k)]
    assert np.concatenate([rows for rows, _ in parts]).tolist() == list(range(len(queries)))
    return np.concatenate([found for _, found in parts])


KINDS = ("random", "duplicates", "integer grid", "all equal", "singletons", "far from the origin")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 7, 60])
def test_equals_plain_loops(kind, block):
    embeddings, labels = random_case(kind, seed=3)
    ks = (1, 2, 10, 59)
    expected = retrieval_metrics_loops(embeddings, labels, ks=ks)
    memory_bytes = block * query_bytes(*embeddings.shape)
    measured = retrieval_metrics(embeddings, labels, ks=ks, memory_bytes=memory_bytes)
    assert list(measured) == ["P@1", "P@R", "MAP@R", "R@1", "R@2", "R@10", "R@59"]
    assert measured == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 7, 60])
def test_separate_gallery_equals_plain_loops(kind, block):
    embeddings, labels = random_case(kind, seed=4)
    queries, query_labels, gallery, gallery_labels = (
        embeddings[:20],
        labels[:20],
        embeddings[20:],
        labels[20:],
    )
    # Rows shared by queries and gallery: nothing is left out when a gallery is given.
    gallery, gallery_labels = (
        np.concatenate([gallery, queries[:5]]),
        np.append(gallery_labels, query_labels[:5]),
    )
    expected = retrieval_metrics_loops(queries, query_labels, gallery, gallery_labels, ks=(1, 45))
    memory_bytes = block * query_bytes(*gallery.shape)
    measured = retrieval_metrics(queries, query_labels, gallery, gallery_labels, (1, 45), memory_bytes)
    assert measured == pytest.approx(expected, abs=1e-12)


def test_map_at_r_by_hand():
    # Seen from 0 the gallery's classes read A B A B A with R = 3: the hits among the first three are the
    # first (precision 1) and the third (precision 2/3); the fifth is beyond R.
    gallery, gallery_labels = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), np.array([0, 1, 0, 1, 0])
    measured = retrieval_metrics(np.zeros((1, 1)), [0], gallery, gallery_labels, ks=(1, 2))
    assert measured["P@1"] == 1.0
    assert measured["P@R"] == pytest.approx(2 / 3)
    assert measured["MAP@R"] == pytest.approx((1 + 2 / 3) / 3)
    assert measured["R@2"] == 1.0
    # For class B, R = 2: A first, B second with precision 1/2.
    measured = retrieval_metrics(np.zeros((1, 1)), [1], gallery, gallery_labels, ks=(1, 2))
    assert (measured["P@1"], measured["P@R"], measured["MAP@R"], measured["R@2"]) == (0.0, 0.5, 0.25, 1.0)


def test_self_is_excluded_by_index_and_its_duplicate_stays():
    embeddings = np.array([[0.0, 1.0], [0.0, 1.0], [3.0, 0.0], [3.1, 0.0]])
    assert retrieval_metrics(embeddings, [0, 0, 1, 1])["P@1"] == 1.0
    # Each of the first two now finds its double first, which is of the other class.
    assert retrieval_metrics(embeddings, [0, 1, 0, 1])["P@1"] == 0.0


def test_ties_go_to_the_smaller_index():
    gallery = np.array([[0.1, 0.7], [0.3, 0.2], [0.1, 0.7], [0.1, 0.7]])
    assert nearest(np.array([[0.1, 0.6]]), gallery, k=4).tolist() == [[0, 2, 3, 1]]
    zeros = np.array([[0.0, -0.0], [0.0, 0.0], [-0.0, 0.0]])
    assert nearest(np.array([[1.0, 0.0]]), zeros, k=2).tolist() == [[0, 1]]


@pytest.mark.parametrize("scale", [1.0, 1e-190, 1e190])
def test_order_equals_a_full_sort_of_direct_distances(scale):
    rng = np.random.default_rng(0)
    # Nearly equal rows and one far away: |q|^2 - 2qr + |r|^2 has no correct digit about any common centre.
    rows = 1.0 + 1e-9 * rng.normal(size=(300, 16))
    rows[0] = 1000.0
    rows = np.concatenate([rows, rows[:40]])
    squared = np.square(rows[:, None] - rows[None]).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    expected = np.argsort(squared, axis=1, kind="stable")[:, :25]
    scaled = rows if scale == 1.0 else np.ldexp(rows, int(np.log2(scale)))
    np.testing.assert_array_equal(nearest(scaled, None, k=25), expected)


def many_references(kind, rng):
    rows = rng.normal(size=(6000, 6)).astype(np.float32)
    if kind == "sorted by class":
        rows += 10 * np.repeat(np.arange(60), 100)[:, None]
    elif kind == "integer grid":
        rows = np.rint(rows)
    elif kind == "far groups":
        # Float32 does not tell the members of a group from each other.
        rows = rows.astype(np.float64) + 1e5 * rng.integers(0, 3, size=(6000, 1))
    elif kind == "hardly distinct":
        # Nor does a product in float64.
        rows = 1 + 1e-9 * rows.astype(np.float64) * rng.choice([1, 1e9], p=[0.9, 0.1], size=(6000, 1))
    return rows


@pytest.mark.parametrize("kind", ["random", "sorted by class", "integer grid", "far groups", "hardly distinct"])
@pytest.mark.parametrize("block", [1, 5, 1000])
def test_many_references_in_the_order_of_a_full_sort(kind, block):
    rng = np.random.default_rng(0)
    gallery = many_references(kind, rng)
    queries = gallery[rng.integers(0, 6000, size=20)]
    squared = np.square(queries[:, None].astype(np.float64) - gallery[None]).sum(axis=2)
    expected = np.argsort(squared, axis=1, kind="stable")
    for k in (1, 30, 700):
        found = nearest(queries, gallery, k, memory_bytes=block * query_bytes(*gallery.shape))
        np.testing.assert_array_equal(found, expected[:, :k])


@pytest.mark.parametrize("kind", ["one value", "few values"])
def test_many_copies_do_not_take_long(kind):
    # Ranking all copies would be a thousand times the work, and more than the memory that is given.
    rng = np.random.default_rng(0)
    rows = np.ones((20000, 8), np.float32)
    if kind == "few values":
        rows[:, 0] = rng.integers(0, 3, size=20000)
    labels = rng.integers(0, 5000, size=20000)
    search = NeighbourSearch([[rows]], None, query_bytes(*rows.shape))
    (rows_found, _, found), *others = search.nearest(np.arange(300), k=3)
    assert others == [] and len(rows_found) == 300
    for i in (0, 299):
        same = np.flatnonzero(rows[:, 0] == rows[i, 0])
        assert found[i].tolist() == same[same != i][:3].tolist()
    assert retrieval_metrics(rows, labels)["P@1"] < 0.01


def test_float16_and_whole_numbers_are_taken_as_they_are():
    embeddings, labels = random_case("integer grid", seed=8)
    expected = retrieval_metrics(embeddings, labels)
    for dtype in (np.float16, np.int8, np.float64, ">f4"):
        assert retrieval_metrics(embeddings.astype(dtype), labels) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_change_the_result(kind, monkeypatch):
    embeddings, labels = random_case(kind, seed=9)
    embeddings, labels = np.tile(embeddings, (5, 1)), np.tile(labels, 5)
    expected = retrieval_metrics(embeddings, labels, ks=(4,))
    monkeypatch.setattr(averages, "_blas_threads", lambda libraries: 3)
    assert retrieval_metrics(embeddings, labels, ks=(4,)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_result_does_not_depend_on_the_memory(kind):
    embeddings, labels = random_case(kind, seed=5)
    results = [
        retrieval_metrics(embeddings, labels, ks=(1, 5), memory_bytes=block * query_bytes(*embeddings.shape))
        for block in (1, 2, 3, 8, 31, 1000)
    ]
    assert all(result == results[0] for result in results)


def test_order_of_samples_does_not_matter_without_ties():
    embeddings, labels = random_case("random", seed=6)
    order = np.random.default_rng(1).permutation(60)
    expected = retrieval_metrics(embeddings, labels, ks=(3,))
    assert retrieval_metrics(embeddings[order], labels[order], ks=(3,)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["distinct", "all tied", "one class"])
def test_working_memory_stays_under_the_bound(kind):
    rng = np.random.default_rng(0)
    embeddings = np.ones((1500, 4)) if kind == "all tied" else rng.normal(size=(1500, 4))
    labels = np.zeros(1500, int) if kind == "one class" else rng.integers(0, 20, size=1500)
    memory_bytes = 8 * 2**20
    tracemalloc.start()
    try:
        retrieval_metrics(embeddings, labels, memory_bytes=memory_bytes)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    copies = 10 * embeddings.nbytes + 10 * labels.nbytes
    assert peak < memory_bytes + copies


@pytest.mark.parametrize(
    "as_labels", [lambda y: y[:, None], lambda y: y.astype(np.float32), lambda y: list(y)]
)
def test_forms_of_labels(as_labels):
    embeddings, labels = random_case("random", seed=7)
    assert retrieval_metrics(embeddings, as_labels(labels)) == retrieval_metrics(embeddings, labels)


def test_queries_without_positives_are_left_out():
    embeddings = np.array([[0.0], [1.0], [10.0]])
    assert retrieval_metrics(embeddings, [0, 0, 1]) == {"P@1": 1.0, "P@R": 1.0, "MAP@R": 1.0, "R@1": 1.0}


GOOD = np.arange(8.0).reshape(4, 2)
NAN_ROWS = np.where(GOOD == 2.0, np.nan, np.where(GOOD == 7.0, np.inf, GOOD))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(embeddings=GOOD[0], labels=[0, 0]), ValueError, r"embeddings must have shape.*\(2,\)"),
        (dict(embeddings=GOOD[:0], labels=[]), ValueError, "embeddings must have shape"),
        (dict(embeddings=GOOD.astype(str), labels=[0, 0, 1, 1]), ValueError, "real numbers"),
        (dict(embeddings=NAN_ROWS, labels=[0, 0, 1, 1]), ValueError, "2 of 4 rows"),
        (dict(embeddings=GOOD, labels=[0, 0, 1]), ValueError, "labels must have one label for each of the 4"),
        (dict(embeddings=GOOD, labels=np.zeros((2, 2))), ValueError, "labels must have shape"),
        (dict(embeddings=GOOD, labels=[0, 0, 0.5, 1]), ValueError, "whole numbers"),
        (dict(embeddings=GOOD, labels=[0, 0, np.nan, 1]), ValueError, "whole numbers"),
        (dict(embeddings=GOOD, labels=["a", "a", "b", "b"]), ValueError, "whole numbers"),
        (dict(embeddings=GOOD, labels=[0, 1, 2, 3]), ValueError, "no query has a reference"),
        (
            dict(embeddings=GOOD, labels=[0, 0, 1, 1], ks=(4,)),
            ValueError,
            "ks must be integers from 1 to 3.*got 4",
        ),
        (dict(embeddings=GOOD, labels=[0, 0, 1, 1], ks=(0,)), ValueError, "ks must be"),
        (dict(embeddings=GOOD, labels=[0, 0, 1, 1], ks=(1.5,)), ValueError, "ks must be"),
        (dict(embeddings=GOOD, labels=[0, 0, 1, 1], ks=(True,)), ValueError, "ks must be"),
        (dict(embeddings=GOOD, labels=[0, 0, 1, 1], ks=1), TypeError, "ks must be a sequence"),
        (
            dict(embeddings=GOOD, labels=[0, 0, 1, 1], memory_bytes=10),
            ValueError,
            f"least {query_bytes(4, 2)}",
        ),
        (
            dict(embeddings=GOOD, labels=[0, 0, 1, 1], memory_bytes=1e9),
            ValueError,
            "memory_bytes must be an integer",
        ),
        (
            dict(embeddings=GOOD, labels=[0, 0, 1, 1], ref_embeddings=GOOD),
            ValueError,
            "ref_labels is missing",
        ),
        (dict(embeddings=GOOD, labels=[0, 0, 1, 1], ref_labels=[0]), ValueError, "ref_embeddings is missing"),
        (
            dict(embeddings=GOOD, labels=[0, 0, 1, 1], ref_embeddings=GOOD[:, :1], ref_labels=[0, 0, 1, 1]),
            ValueError,
            r"as many columns as embeddings \(2\), got 1",
        ),
        (
            dict(embeddings=GOOD, labels=[0, 0, 1, 1], ref_embeddings=NAN_ROWS, ref_labels=[0, 0, 1, 1]),
            ValueError,
            "ref_embeddings must be finite",
        ),
        (
            dict(embeddings=GOOD, labels=[0, 0, 1, 1], ref_embeddings=GOOD, ref_labels=[5, 5, 6, 6]),
            ValueError,
            "no query has a reference",
        ),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        retrieval_metrics(**arguments)
    assert "\n" not in str(caught.value)


def test_smallest_memory_named_in_the_error_is_enough():
    enough = retrieval_metrics(GOOD, [0, 0, 1, 1], memory_bytes=query_bytes(4, 2))
    assert enough == retrieval_metrics(GOOD, [0, 0, 1, 1])
