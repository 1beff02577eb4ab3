"""Loss and validation scores over the steps of a method's runs, for the page."""

from typing import NamedTuple

from markupsafe import Markup

from gsp_tf.report.page_svg import INK, PALETTE, inline_svg, new_panel

# Of the lines of the runs: matplotlib's and SVG's way to say it.
_DASHES = ((), (5, 2), (1.5, 1.5), (6, 1.5, 1.5, 1.5))


class Curve(NamedTuple):
    """One panel: its ``title``, the ``svg`` and the sentence ``alt`` in its place."""

    title: str
    svg: Markup
    alt: str


class RunLine(NamedTuple):
    """How a run is drawn: its ``label``, ``color``, ``dashes`` as SVG has them, whether it is the ``best`` run."""

    label: str
    color: str
    dashes: str
    best: bool


def run_label(result):
    """What tells a run from the others of its method.

    >>> run_label({"fold": 1, "repeat": 0, "seed": 7}), run_label({"fold": None, "repeat": 0, "seed": 7})
    ('fold 1 repeat 0', 'seed 7')
    """
    if result.get("fold") is None:
        return f"seed {result['seed']}"
    return f"fold {result['fold']} repeat {result['repeat']}"


def learning_curves(results, best, name):
    """Draw a method's runs.

    Args:
        results: list of what the runs' ``result.json`` s say.
        best: index of the run that is drawn with a thick line.
        name: begins the names of the pictures, see :func:`gsp_tf.report.page_svg.inline_svg`.

    Returns:
        ``(curves, lines)``: lists of :class:`Curve` and, run by run, of :class:`RunLine`.
    """
    part = "test" if results[0].get("selected_on") == "test" else "validation"
    styles = [_style(index, result) for index, result in enumerate(results)]
    curves = []
    for key, title, factor in (("loss", "training loss", 1), ("val_MAP@R", f"{part} MAP@R (%)", 100),
                               ("val_P@1", f"{part} P@1 (%)", 100)):
        figure, axes = new_panel(3.7, 2.7)
        chosen = []
        for index, (result, (color, dashes)) in enumerate(zip(results, styles, strict=True)):
            steps = [row["step"] for row in result["evaluations"]]
            values = [factor * row[key] for row in result["evaluations"]]
            axes.plot(steps, values, color=color, linewidth=2.6 if index == best else 1.3,
                      linestyle=(0, dashes) if dashes else "-", marker="." if len(steps) < 4 else None, clip_on=False)
            chosen.append(values[steps.index(result["best_step"])])
            axes.plot(result["best_step"], chosen[-1], linestyle="none", marker="o", markersize=7, color=color,
                      markeredgecolor=INK, markeredgewidth=1.2, clip_on=False, zorder=5)
        axes.set_xlabel("step", color=INK)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_xlim(left=0)
        if factor == 100:
            low, high = axes.get_ylim()
            axes.set_ylim(max(0, low), min(100, high))
        runs = "one run" if len(results) == 1 else f"{len(results)} runs"
        span = f"{min(chosen):.3g}" + ("" if len(results) == 1 else f" to {max(chosen):.3g}")
        alt = f"{title} of {runs} over the training steps; at the chosen step it is {span}"
        curves.append(Curve(title, inline_svg(figure, f"{name}-curve-{len(curves)}"), alt))
    return curves, [RunLine(run_label(result), color, " ".join(map(str, dashes)), index == best)
                    for index, (result, (color, dashes)) in enumerate(zip(results, styles, strict=True))]


def _style(index, result):
    """A colour a fold and dashes a repeat; where there are no folds, a colour a run."""
    fold = result.get("fold")
    color, dashes = divmod(index, len(PALETTE))[::-1] if fold is None else (fold, result["repeat"])
    return PALETTE[color % len(PALETTE)], _DASHES[dashes % len(_DASHES)]
