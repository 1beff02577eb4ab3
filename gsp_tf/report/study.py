"""Pictures of a hyper-parameter study: lines, heat maps and main effects of its trials' validation scores."""

import statistics

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gsp_tf.report.plots import ACCENT, INK, QUIET, save_figure

COLORS = (ACCENT, "#1d4ed8", "#15803d", "#7c3aed", "#b45309", "#0e7490", "#be185d", "#4d7c0f")
PUBLISHED = " published"
SCORE = "validation MAP@R (%)"


def plot_lines(scores, x, path, title, by=None, shown=str):
    """The score over one parameter, mean with a band of one standard deviation.

    Without ``by`` there is one panel with a line a method; with it a panel a method and a line for every value of
    ``by``. Baselines are dashed.

    Args:
        scores: list of :class:`gsp_tf.report.study_table.TrialScore`.
        x: the parameter along the axis.
        path: of the PNG file.
        title: over the picture.
        by: another parameter, or None.
        shown: function from a value to its text.
    """
    labels = labels_of(scores)
    lines = {}
    for score in scores:
        if score.values:
            panel, line = (score.label, f"{by} = {shown(score.values[by])}") if by else (None, score.label)
            lines.setdefault(panel, {}).setdefault(line, []).append(score)
    figure = Figure(figsize=(1.8 + 4.6 * len(lines), 3.6), layout="constrained")
    panels = figure.subplots(1, len(lines), sharey=True, squeeze=False)[0]
    for panel, (label, own) in zip(panels, lines.items(), strict=True):
        position = set_scale(panel, [score.values[x] for score in scores if score.values], shown)
        for line, found in own.items():
            points = sorted(((position(score.values[x]), score) for score in found), key=lambda point: point[0])
            _draw_line(panel, points, color_of(line, list(own)), line)
        for score in baseline_scores(scores, label, labels):
            color = color_of(score.label, labels) if label is None else INK
            panel.axhline(100 * score.mean, color=color, linestyle="--", linewidth=1.2, label=f"{score.label} baseline")
            if score.std is not None:
                panel.axhspan(100 * (score.mean - score.std), 100 * (score.mean + score.std), color=color, alpha=0.08,
                              linewidth=0)
        finish_panel(panel, x, label)
        panel.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    panels[0].set_ylabel(f"{SCORE}\n{counted(scores)}")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK)
    save_figure(figure, path)


def plot_heat_maps(scores, x, y, path, title, shown=str):
    """The score over two parameters, a panel a method, the best cell framed.

    Args:
        scores, path, title, shown: as of :func:`plot_lines`.
        x, y: the parameters along the axes.
    """
    labels = labels_of(scores)
    columns, rows = ([value for _, value in _in_order({score.values[name] for score in scores if score.values})]
                     for name in (x, y))
    size = (1.8 + len(labels) * (0.9 + 0.85 * len(columns)), 1.7 + 0.6 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    means = [100 * score.mean for score in scores if score.values]
    for panel, label in zip(panels, labels, strict=True):
        cells = np.full((len(rows), len(columns)), np.nan)
        own = [score for score in scores if score.label == label and score.values]
        for score in own:
            cells[rows.index(score.values[y]), columns.index(score.values[x])] = 100 * score.mean
        drawn = panel.imshow(cells, cmap="viridis", vmin=min(means), vmax=max(means), origin="lower", aspect="auto")
        for score in own:
            row, column = rows.index(score.values[y]), columns.index(score.values[x])
            text = f"{100 * score.mean:.1f}" + ("" if score.std is None else f"\n± {100 * score.std:.1f}")
            panel.text(column, row, text, ha="center", va="center", fontsize=8,
                       color="white" if drawn.norm(100 * score.mean) < 0.6 else INK)
        best = max(own, key=lambda score: score.mean)
        panel.add_patch(_frame(columns.index(best.values[x]), rows.index(best.values[y])))
        panel.set_xticks(range(len(columns)), [shown(value) for value in columns])
        panel.set_yticks(range(len(rows)), [shown(value) for value in rows])
        panel.set_xlabel(x)
        baseline = "".join(f", baseline {100 * score.mean:.1f}" for score in baseline_scores(scores, label, labels))
        panel.set_title(label + baseline, loc="left", fontsize=10, color=INK)
        panel.tick_params(length=0)
    panels[0].set_ylabel(y)
    figure.colorbar(drawn, ax=panels.tolist(), label=f"{SCORE}\n{counted(scores)}")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK)
    save_figure(figure, path)


def plot_effects(scores, parameters, path, title, shown=str):
    """Main effects: for every parameter a panel with the mean score at each of its values, over all others.

    Args:
        scores, path, title, shown: as of :func:`plot_lines`; a method "… published" is dotted in the colour of "…".
        parameters: their names.
    """
    labels = labels_of(scores)
    figure = Figure(figsize=(2.6 + 2.1 * len(parameters), 3.6), layout="constrained")
    panels = figure.subplots(1, len(parameters), sharey=True, squeeze=False)[0]
    for panel, parameter in zip(panels, parameters, strict=True):
        order = _in_order({score.values[parameter] for score in scores if score.values})
        for label in labels:
            color = color_of(label.removesuffix(PUBLISHED), labels)
            means = [[100 * score.mean for score in scores if score.label == label and score.values
                      and score.values[parameter] == value] for _, value in order]
            found = [(place, statistics.fmean(mean)) for place, mean in enumerate(means) if mean]
            dotted = label.endswith(PUBLISHED)
            panel.plot(*zip(*found, strict=True), color=color, marker="o", markersize=5, linewidth=1.8, label=label,
                       linestyle=":" if dotted else "-", markerfacecolor="white" if dotted else color)
        for score in baseline_scores(scores, None, labels):
            color = color_of(score.label, labels)
            panel.axhline(100 * score.mean, color=color, linestyle="--", linewidth=1, label=f"{score.label} baseline")
        panel.set_xticks(range(len(order)), [shown(value) for _, value in order])
        panel.set_xlim(-0.4, len(order) - 0.6)
        finish_panel(panel, parameter, None)
    panels[0].set_ylabel(f"{SCORE}\nmean over the other parameters")
    panels[-1].legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK)
    save_figure(figure, path)


def labels_of(scores):
    """The methods that something is varied of, in order."""
    return list(dict.fromkeys(score.label for score in scores if score.values))


def color_of(label, labels):
    """The colour of one of the labels; they repeat after the last. Another's is the ink's."""
    return COLORS[labels.index(label) % len(COLORS)] if label in labels else INK


def baseline_scores(scores, label, labels):
    """The baselines of a panel: those of its method and those of no method; all for None."""
    return [score for score in scores
            if not score.values and (label is None or score.label == label or score.label not in labels)]


def counted(scores, what="mean ± std"):
    """What means are over, in words."""
    runs = sorted({len(score.scores) for score in scores if score.values})
    return "one run" if runs == [1] else f"{what} of {' to '.join(map(str, runs))} runs"


def finish_panel(panel, xlabel, title):
    """Labels and quiet frames."""
    panel.set_xlabel(xlabel)
    if title is not None:
        panel.set_title(title, loc="left", fontsize=10, color=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color=QUIET, alpha=0.2)


def set_scale(panel, values, shown=str):
    """Scale the x axis for values: linear, logarithmic if their steps are rather factors, or names in a row.

    Returns:
        function from a value to its place.
    """
    order = _in_order(set(values))
    numbers = [value for value, _ in order]
    texts = [shown(value) for _, value in order]
    if isinstance(numbers[0], str):
        panel.set_xticks(range(len(order)), texts)
        return lambda value: numbers.index(shown(value))
    if min(numbers) > 0 and len(numbers) > 1:
        steps, factors = np.diff(numbers), np.diff(np.log(numbers))
        uneven = np.std(steps) / np.mean(steps) > np.std(factors) / np.mean(factors)
        if uneven if len(numbers) > 2 else numbers[1] > 10 * numbers[0]:
            panel.set_xscale("log")
            panel.xaxis.minorticks_off()
    panel.set_xticks(numbers, texts)
    return float


def _in_order(values):
    """Pairs of what values are sorted by, numbers or else texts, with the values."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return sorted((float(value), value) for value in values)
    return sorted(((str(value), value) for value in values), key=lambda pair: pair[0])


def _draw_line(panel, points, color, label):
    places = [place for place, _ in points]
    means = np.array([100 * score.mean for _, score in points])
    stds = np.array([100 * (score.std or 0) for _, score in points])
    panel.plot(places, means, color=color, marker="o", markersize=4, linewidth=1.8, label=label)
    if stds.any():
        panel.fill_between(places, means - stds, means + stds, color=color, alpha=0.18, linewidth=0)


def _frame(column, row):
    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ACCENT, linewidth=2.5)
