"""Queries with their nearest neighbours, for the page."""

from typing import NamedTuple

import numpy as np

from gsp_tf.metrics.neighbour_search import NeighbourSearch, query_bytes
from gsp_tf.report.page_thumbnail import SHOWN, data_uri
from gsp_tf.training.thumbnails import shrink

QUERIES, NEIGHBOURS = 8, 6
# Of larger parts so many queries are looked at, evenly over the classes.
_MOST = 2000
_MEMORY = 256 * 2**20


class Shown(NamedTuple):
    """An image: its ``uri``, the ``name`` of its class, and for a neighbour whether it is ``right``."""

    uri: str
    name: str
    right: bool | None = None


class Query(NamedTuple):
    """A query's ``image``, the number of references of its class ``to_find``, and its ``neighbours``, nearest first."""

    image: Shown
    to_find: int
    neighbours: list


class Sheet(NamedTuple):
    """Queries whose first neighbour is of their class (``good``) or not (``failed``), and ``right`` of ``looked_at``.

    ``gallery`` says whether the neighbours come from one.
    """

    good: list
    failed: list
    right: int
    looked_at: int
    gallery: bool


def retrieval_sheet(found, dataset):
    """Show queries of as many classes as there is room for, half of them failures as far as there are any.

    Args:
        found: of :func:`gsp_tf.training.evaluation.embeddings_and_labels`.
        dataset: what it was given.

    Returns:
        :class:`Sheet`.
    """
    gallery = getattr(dataset, "gallery", None)
    labels, references = found["labels"], found["labels"] if gallery is None else found["reference_labels"]
    # A query without a reference of its class counts in no metric.
    numbers, counts = np.unique(references, return_counts=True)
    findable = np.flatnonzero(np.isin(labels, numbers[counts > (1 if gallery is None else 0)]))
    rows = findable[np.argsort(labels[findable], kind="stable")]
    rows = np.sort(rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).round().astype(int)])
    nearest = _nearest(found["embeddings"], found["references"], rows)
    hit = references[nearest[:, 0]] == labels[rows]
    failed = _over_classes(np.flatnonzero(~hit), labels[rows], QUERIES // 2)
    good = _over_classes(np.flatnonzero(hit), labels[rows], QUERIES - len(failed))
    shown = [[_query(dataset, gallery, rows[place], nearest[place], labels, references) for place in places]
             for places in (good, failed)]
    return Sheet(*shown, int(hit.sum()), len(rows), gallery is not None)


def _nearest(embeddings, references, rows):
    """Indices (len(rows), K) of the nearest references."""
    count, dim = (embeddings if references is None else references).shape
    k = min(NEIGHBOURS, count - (references is None))
    search = NeighbourSearch(
        [[embeddings]], None if references is None else [[references]], max(_MEMORY, query_bytes(count, dim))
    )
    nearest, size = {}, search.block_size(k)
    for start in range(0, len(rows), size):
        for some, _, indices in search.nearest(rows[start:start + size], k):
            nearest.update(zip(some.tolist(), indices, strict=True))
    return np.stack([nearest[row] for row in rows.tolist()])


def _over_classes(places, labels, count):
    """At most ``count`` of the places: the first of each of some classes from all over, then the second of each…"""
    if not len(places):
        return places
    _, number, counts = np.unique(labels[places], return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    nth = np.empty(len(places), int)
    nth[order] = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    if len(counts) > count:
        kept = np.linspace(0, len(counts) - 1, count).round().astype(int)
        return places[(nth == 0) & np.isin(number, kept)]
    return np.sort(places[np.lexsort((number, nth))[:count]])


def _query(dataset, gallery, row, nearest, labels, references):
    source = dataset if gallery is None else gallery
    images = [shrink(part.evaluation_images(indices), SHOWN)
              for part, indices in ((dataset, [row]), (source, nearest))]
    neighbours = [
        Shown(data_uri(image), source.class_names[source.labels[index]], bool(references[index] == labels[row]))
        for image, index in zip(images[1], nearest, strict=True)
    ]
    to_find = int((references == labels[row]).sum()) - (gallery is None)
    return Query(Shown(data_uri(images[0][0]), dataset.class_names[dataset.labels[row]]), to_find, neighbours)
