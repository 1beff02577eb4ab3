"""A sheet of images, a row for each class."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gsp_tf.report.plots import INK
from gsp_tf.training.checkpoint import replaced

_GAP = 0.03


def draw_sheet(rows, path, title):
    """Draw images row by row, each row under the name of its class.

    Args:
        rows: dict from class name to (N, H, W, C) arrays in [0, 1], all of one shape, C being 1 or 3.
        path: of the PNG file.
        title: over the picture.
    """
    columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(1.5 * columns + 0.3, 1.75 * len(rows) + 0.5), layout="constrained")
    grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        gap = max(1, round(_GAP * images.shape[2]))
        strip = np.concatenate(np.pad(images, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=1), axis=1)
        axes.imshow(strip.squeeze(), cmap="gray", vmin=0, vmax=1)
        # A "$" in a name is no formula.
        axes.set_title(name, fontsize=9, color=INK, loc="left", parse_math=False)
        axes.set_axis_off()
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK, parse_math=False)
    FigureCanvasAgg(figure)
    with replaced(path) as partial:
        figure.savefig(partial, dpi=120, format="png")
