"""How much of the images each prototype received, for the page."""

from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from gsp_tf.report.page_svg import INK, PALETTE, inline_svg, new_panel
from gsp_tf.report.page_thumbnail import strip_uri

CLASSES = 24


class PrototypeUsage(NamedTuple):
    """Shares of the transported mass.

    Attributes:
        svg: the mean over all images, the largest first.
        alt: a sentence in its place.
        rows: ``(class, strip, share)`` of some classes: its mean as a row of pixels in the same order, on a scale of
            square roots that shows small shares, too; and how much of it the class's largest prototype has.
        top: the share of the brightest pixel.
        images: number of images.
        classes: number of classes that there are.
    """

    svg: Markup
    alt: str
    rows: list
    top: float
    images: int
    classes: int


def prototype_usage(histograms, labels, class_names, name):
    """Draw the mean histogram of all images and those of some classes from all over.

    Args:
        histograms: (N, m) array of rows that sum to 1.
        labels: (N,) indices into ``class_names``.
        class_names: names.
        name: of the picture, see :func:`gsp_tf.report.page_svg.inline_svg`.
    """
    mean = histograms.mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    count = len(mean)
    figure, axes = new_panel(4, 2.5)
    axes.bar(np.arange(1, count + 1), 100 * mean[order], width=0.8, color=PALETTE[0])
    axes.axhline(100 / count, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(count + 0.5, 100 / count, "even", ha="right", va="bottom", fontsize=9, color=INK)
    axes.set_xlabel("prototypes, the most used first", color=INK)
    axes.set_ylabel("share (%)", color=INK)
    axes.set_xlim(0.3, count + 0.7)
    axes.grid(False, axis="x")
    classes = np.unique(labels)
    shown = classes[np.linspace(0, len(classes) - 1, min(CLASSES, len(classes))).round().astype(int)]
    means = np.stack([histograms[labels == label].mean(axis=0) for label in shown])[:, order]
    top = float(means.max())
    rows = [(class_names[label], strip_uri(np.sqrt(row / top)), float(row.max()))
            for label, row in zip(shown, means, strict=True)]
    alt = (f"Mean share of {count} prototypes over {len(histograms)} images: the most used has "
           f"{100 * mean.max():.1f} %, the least used {100 * mean.min():.1f} %, an even share is {100 / count:.1f} %")
    return PrototypeUsage(inline_svg(figure, name), alt, rows, top, len(histograms), len(classes))
