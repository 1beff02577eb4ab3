"""Matplotlib figures as SVG that stands within a page and takes its colours."""

import io

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Stand-ins, which become the page's own colours of its text and its background, light or dark.
INK, PAPER = "#010203", "#fdfcfb"
# Legible on white and on near-black.
PALETTE = ("#2f7fd0", "#e0701a", "#2f9e5b", "#c9479b", "#8a6fd1", "#b08b1a", "#1f9aa8", "#d24b45", "#7d8b3a", "#8b7568")
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def new_panel(width, height):
    """A figure of one panel, sizes in inches, and its axes, drawn in the page's colours."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(colors=INK, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(INK)
    axes.grid(True, color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def inline_svg(figure, name):
    """A figure as an ``<svg>`` element as wide as its place.

    Args:
        figure: of matplotlib, with texts of the code's own alone and with ``INK`` and ``PAPER`` among its colours.
        name: unlike that of any other picture of the page, of letters, digits and hyphens.
    """
    FigureCanvasSVG(figure)
    text = io.StringIO()
    # Texts stay texts; the salt makes the names of shared shapes the same in every run.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gsp_tf"}):
        figure.savefig(text, format="svg", transparent=True, dpi=160, metadata=_NO_METADATA)
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg"):]
    head, _, body = drawn.partition(">")
    width, height = (72 * size for size in figure.get_size_inches())
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width:g} {height:g}" aria-hidden="true" focusable="false"')
    for old, new in (('id="', f'id="{name}-'), ("url(#", f"url(#{name}-"), ('href="#', f'href="#{name}-'),
                     (INK, "currentColor"), (PAPER, "var(--paper)")):
        body = body.replace(old, new)
    return Markup(f"{head}>{body.strip()}")
