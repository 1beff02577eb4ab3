"""A sheet of images, a row for each class."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gsp_tf.report.plots import INK
from gsp_tf.training.checkpoint import replaced


def draw_sheet(rows, path, title):
    """Draw images row by row, each row under the name of its class.

    Args:
        rows: dict from class name to arrays (H, W, C) in [0, 1].
        path: of the PNG file.
        title: over the picture.
    """
    columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(1.5 * columns + 0.3, 1.7 * len(rows) + 0.5), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.set_axis_off()
        # A "$" in a name is no formula.
        line[0].set_title(name, fontsize=9, color=INK, loc="left", parse_math=False)
        for axes, image in zip(line, images, strict=False):
            axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK, parse_math=False)
    FigureCanvasAgg(figure)
    with replaced(path) as partial:
        figure.savefig(partial, dpi=120, format="png")
