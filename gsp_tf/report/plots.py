"""Pictures of a comparison: the scores, and where each pooling looks."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gsp_tf.training.checkpoint import replaced

INK, ACCENT, QUIET = "#1f2933", "#c2410c", "#64748b"


def plot_scores(summaries, path, title, metric="MAP@R"):
    """Horizontal bars of a test metric per method, with one standard deviation where there are several seeds.

    Args:
        summaries: list of :class:`gsp_tf.protocols.summary.MethodSummary`.
        path: of the PNG file.
        title: over the picture.
        metric: which metric.
    """
    figure = Figure(figsize=(7, 1.2 + 0.45 * len(summaries)), layout="constrained")
    axes = figure.add_subplot()
    means = [100 * summary.mean[metric] for summary in summaries]
    errors = [100 * (summary.std[metric] or 0) for summary in summaries]
    colors = [ACCENT if "GSP" in summary.method else QUIET for summary in summaries]
    axes.barh(range(len(means)), means, xerr=errors if any(errors) else None, color=colors, ecolor=INK, height=0.65,
              capsize=3)
    axes.set_yticks(range(len(means)), [summary.method for summary in summaries])
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    for row, (mean, error) in enumerate(zip(means, errors, strict=True)):
        axes.text(mean + error + 1, row, f"{mean:.1f}", va="center", color=INK, fontsize=9)
    seeds = sorted({summary.seeds for summary in summaries})
    counted = f"mean ± std of {' to '.join(map(str, seeds))} seeds" if seeds != [1] else "one seed"
    axes.set_xlabel(f"test {metric} (%), {counted}")
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_bounds(0, 100)
    axes.tick_params(axis="y", length=0)
    save_figure(figure, path)


def plot_weight_maps(images, names, maps, path, title):
    """Test images beside the weights that each method gave their places.

    A weight is drawn relative to the average's, n·p: 1 is what average pooling gives everywhere, and 1/μ is the most
    that GSP can.

    Args:
        images: (N, H, W, C) array in [0, 1], one column each.
        names: N titles of the columns.
        maps: dict from method to (N, h, w) weights that sum to 1.
        path: of the PNG file.
        title: over the picture.
    """
    figure = Figure(figsize=(1.55 * len(images) + 1.2, 1.6 * (1 + len(maps)) + 0.7), layout="constrained")
    grid = figure.subplots(1 + len(maps), len(images), squeeze=False)
    relative = {name: weights * weights.shape[1] * weights.shape[2] for name, weights in maps.items()}
    top = max(float(weights.max()) for weights in relative.values())
    for column, image in enumerate(images):
        grid[0, column].imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
        grid[0, column].set_title(names[column], fontsize=10, color=INK)
    for row, (name, weights) in enumerate(relative.items(), start=1):
        for column in range(len(images)):
            shown = grid[row, column].imshow(weights[column], cmap="magma", vmin=0, vmax=top)
        grid[row, 0].set_ylabel(name, fontsize=10, color=INK)
    grid[0, 0].set_ylabel("image", fontsize=10, color=INK)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(shown, ax=grid.ravel().tolist(), shrink=0.8, label="weight relative to average pooling")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK)
    save_figure(figure, path)


def choose_examples(labels, count):
    """Indices of one image each of ``count`` classes, spread evenly over the classes."""
    classes = np.unique(labels)
    chosen = classes[np.linspace(0, len(classes) - 1, min(count, len(classes))).round().astype(int)]
    return [int(np.flatnonzero(labels == label)[0]) for label in chosen]


def save_figure(figure, path):
    """Write a figure as a PNG file, in one step."""
    FigureCanvasAgg(figure)
    with replaced(path) as partial:
        figure.savefig(partial, dpi=120, format="png")
