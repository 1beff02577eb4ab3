"""Embeddings in two dimensions, for the page."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from gsp_tf.report.page_svg import INK, PALETTE, PAPER, inline_svg, new_panel

CLASSES, POINTS = 20, 2000
_SEED = 0
# Of the numbers on a map, as a share of its side.
_APART = 0.065
_OTHERS = "#8a8f98"
# Of more classes than colours the second ten have another sign; in matplotlib and as a character.
_SIGNS = (("o", "●"), ("^", "▲"))


class Legend(NamedTuple):
    """A class of the maps: its ``name``, its ``color`` and its ``sign``."""

    name: str
    color: str
    sign: str


class EmbeddingMap(NamedTuple):
    """``maps``: list of ``(title, svg, alt)``; ``legend``: of the classes with colours, in the order of the numbers on
    the maps; ``points`` drawn of ``images``; ``others``: number of classes without a colour."""

    maps: list
    legend: list
    points: int
    images: int
    others: int


def embedding_map(embeddings, labels, class_names, name):
    """Draw at most 2,000 embeddings by PCA and by t-SNE, at most 20 classes from all over with colours.

    Args:
        embeddings: (N, D) array.
        labels: (N,) indices into ``class_names``.
        class_names: names.
        name: begins the names of the pictures, see :func:`gsp_tf.report.page_svg.inline_svg`.

    Returns:
        :class:`EmbeddingMap`, or None for fewer than three images, which are no map.
    """
    classes = np.unique(labels)
    colored = classes[np.linspace(0, len(classes) - 1, min(CLASSES, len(classes))).round().astype(int)]
    kept = _sample(labels, colored)
    if len(kept) < 3:
        return None
    points, labels = np.asarray(embeddings[kept], np.float64), labels[kept]
    pca, share = _pca(points)
    others = len(classes) - len(colored)
    what = f"{len(points)} embeddings, {len(colored)} classes with colours" + (", the others grey" if others else "")
    maps = []
    for title, places in ((f"PCA: {100 * share:.0f} % of the variance", pca), ("t-SNE", _tsne(points, pca))):
        svg = _draw(places, labels, colored, f"{name}-map-{len(maps)}")
        maps.append((title, svg, f"{title.partition(':')[0]} of {what}"))
    legend = [Legend(class_names[label], *_look(number)[::2]) for number, label in enumerate(colored)]
    return EmbeddingMap(maps, legend, len(points), len(embeddings), others)


def _sample(labels, colored):
    """Indices of the points, which leave room for images of other classes where there are any."""
    order = np.random.default_rng(_SEED).permutation(len(labels))
    own = np.isin(labels[order], colored)
    most = POINTS if own.all() else POINTS // 2
    chosen = order[own][:most]
    return np.sort(np.concatenate([chosen, order[~own][:POINTS - len(chosen)]]))


def _pca(points):
    """(N, 2) principal components and the share of the variance that they have."""
    found = PCA(n_components=min(2, points.shape[1]), random_state=_SEED)
    with warnings.catch_warnings():
        # A model that gives every image the same embedding has no variance to share.
        warnings.simplefilter("ignore", RuntimeWarning)
        places = found.fit_transform(points)
        share = np.nan_to_num(found.explained_variance_ratio_.sum())
    return np.pad(places, ((0, 0), (0, 2 - places.shape[1]))), float(share)


def _tsne(points, start):
    """(N, 2) places by t-SNE, from the principal components on, so that the seed is all that fixes it."""
    spread = start[:, 0].std() or 1.0
    perplexity = min(30.0, (len(points) - 1) / 3)
    return TSNE(init=(1e-4 * start / spread).astype(np.float32), perplexity=perplexity, learning_rate="auto",
                random_state=_SEED).fit_transform(points.astype(np.float32))


def _draw(places, labels, colored, name):
    figure, axes = new_panel(4.2, 4.0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set(color=INK, alpha=0.3)
    size = 26 if len(places) < 400 else 12
    # Thousands of points are pixels; texts stay texts.
    options = {"linewidths": 0, "rasterized": True}
    rest = ~np.isin(labels, colored)
    axes.scatter(*places[rest].T, s=size * 0.6, color=_OTHERS, alpha=0.45, **options)
    for number, label in enumerate(colored):
        color, marker, _ = _look(number)
        axes.scatter(*places[labels == label].T, s=size, color=color, marker=marker, alpha=0.8, **options)
    for number, spot in enumerate(_spots(places, labels, colored)):
        axes.text(*spot, str(number + 1), fontsize=9, fontweight="bold", ha="center", va="center", color=INK, bbox={
            "boxstyle": "round,pad=0.15", "facecolor": PAPER, "edgecolor": _look(number)[0], "alpha": 0.85})
    return inline_svg(figure, name)


def _spots(places, labels, colored):
    """(classes, 2) places of the classes' numbers, each within its class, moved until none covers another."""
    low, size = places.min(axis=0), np.ptp(places, axis=0)
    size = np.where(size > 0, size, 1)
    spots = []
    for label in colored:
        own = (places[labels == label] - low) / size
        # The median may lie where there is nothing; the nearest of the class's points does not.
        spots.append(own[np.square(own - np.median(own, axis=0)).sum(axis=1).argmin()])
    # Equal spots have no direction to move in, so none are.
    angles = np.arange(len(spots))
    spots = np.stack(spots) + 1e-3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for _ in range(100):
        gaps = spots[:, None] - spots
        distances = np.linalg.norm(gaps, axis=2) + np.eye(len(spots))
        push = np.maximum(_APART - distances, 0) / (2 * distances)
        spots = spots + (push[:, :, None] * gaps).sum(axis=1)
    return low + size * spots


def _look(number):
    """Colour, matplotlib's marker and a character of it."""
    return PALETTE[number % len(PALETTE)], *_SIGNS[number // len(PALETTE)]
