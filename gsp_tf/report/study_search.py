"""Picture of a Bayesian search: where it looked, and the scores between its trials."""

import warnings

import numpy as np
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from gsp_tf.report.plots import ACCENT, INK, save_figure
from gsp_tf.report.study import SCORE, baseline_scores, color_of, counted, finish_panel, labels_of

# A surface through fewer trials than this would show the regression's assumptions alone.
LEAST_TRIALS = 6


class Range:
    """The numbers that a parameter may take, as an axis.

    Args:
        low, high: its ends.
        log: whether equal factors are equal lengths.
    """

    def __init__(self, low, high, log=False):
        self.low, self.high, self.log = low, high, log

    def unit(self, values):
        """Places in [0, 1] of values."""
        change = np.log if self.log else np.asarray
        ends = change(np.array([self.low, self.high], float))
        return (change(np.asarray(values, float)) - ends[0]) / (ends[1] - ends[0])

    def values(self, count):
        """So many values, evenly over the axis."""
        return (np.geomspace if self.log else np.linspace)(self.low, self.high, count)


def plot_search(scores, ranges, path, title):
    """The trials of a search; over two parameters on the surface that Gaussian process regression puts through them.

    With two parameters there is a panel a method, else a panel a parameter. A star is the best trial of a method.

    Args:
        scores: list of :class:`gsp_tf.report.study_table.TrialScore`.
        ranges: dict from parameter to :class:`Range`.
        path: of the PNG file.
        title: over the picture.
    """
    labels = labels_of(scores)
    count = len(labels) if len(ranges) == 2 else len(ranges)
    figure = Figure(figsize=(1.9 + 3.8 * count, 3.7), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    if len(ranges) == 2:
        _draw_surfaces(figure, panels, labels, scores, ranges)
    else:
        for panel, (name, axis) in zip(panels, ranges.items(), strict=True):
            for label in labels:
                color = color_of(label, labels)
                own = [score for score in scores if score.label == label and score.values]
                panel.errorbar([score.values[name] for score in own], [100 * score.mean for score in own],
                               [100 * (score.std or 0) for score in own], fmt="o", markersize=4, linewidth=1,
                               color=color, label=label)
                _star(panel, own, lambda best, name=name: (best.values[name], 100 * best.mean), color)
            for score in baseline_scores(scores, None, labels):
                panel.axhline(100 * score.mean, color=INK, linestyle="--", linewidth=1, label=f"{score.label} baseline")
            panel.set_xscale("log" if axis.log else "linear")
            finish_panel(panel, name, None)
        panels[0].set_ylabel(f"{SCORE}\n{counted(scores)}")
        panels[-1].legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK)
    save_figure(figure, path)


def surface(scores, ranges, count=60):
    """Mean scores between trials, by Gaussian process regression with a squared exponential kernel and noise.

    Args:
        scores: list of :class:`gsp_tf.report.study_table.TrialScore` of one method.
        ranges: dict from two parameters to their :class:`Range`.
        count: number of places along each axis.

    Returns:
        (count, count) array in per cent; rows run along the second parameter.
    """
    places = np.stack([axis.unit([score.values[name] for score in scores]) for name, axis in ranges.items()], axis=1)
    model = GaussianProcessRegressor(
        RBF([0.3, 0.3], (0.1, 10.0)) + WhiteKernel(0.1, (1e-4, 1.0)), normalize_y=True, n_restarts_optimizer=2,
        random_state=0,
    )
    with warnings.catch_warnings():
        # A parameter without effect has a length at its bound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(places, [100 * score.mean for score in scores])
    x, y = np.meshgrid(*[np.linspace(0, 1, count)] * 2)
    return model.predict(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(count, count)


def _draw_surfaces(figure, panels, labels, scores, ranges):
    (x, x_axis), (y, y_axis) = ranges.items()
    means = [100 * score.mean for score in scores if score.values]
    low, high = min(means), max(max(means), min(means) + 1e-6)
    for panel, label in zip(panels, labels, strict=True):
        own = [score for score in scores if score.label == label and score.values]
        if len(own) >= LEAST_TRIALS:
            panel.contourf(x_axis.values(60), y_axis.values(60), surface(own, ranges).clip(low, high),
                           np.linspace(low, high, 15), cmap="viridis")
        drawn = panel.scatter([score.values[x] for score in own], [score.values[y] for score in own],
                              c=[100 * score.mean for score in own], cmap="viridis", vmin=low, vmax=high, s=34,
                              edgecolors="white", linewidths=0.9, zorder=3, clip_on=False)
        _star(panel, own, lambda best: (best.values[x], best.values[y]), ACCENT)
        panel.set_xscale("log" if x_axis.log else "linear")
        panel.set_yscale("log" if y_axis.log else "linear")
        baseline = "".join(f", baseline {100 * score.mean:.1f}" for score in baseline_scores(scores, label, labels))
        panel.set_title(f"{label}{baseline}, {len(own)} trials", loc="left", fontsize=10, color=INK)
        panel.set_xlabel(x)
    panels[0].set_ylabel(y)
    between = "" if len(own) < LEAST_TRIALS else "\nbetween trials: Gaussian process regression"
    bar = figure.colorbar(drawn, ax=panels.tolist())
    bar.set_label(f"{SCORE}, {counted(scores, 'mean')}{between}", size=8)


def _star(panel, scores, place, color):
    panel.plot(*place(max(scores, key=lambda score: score.mean)), marker="*", markersize=13, color=color,
               markeredgecolor="white", zorder=4, linestyle="none", clip_on=False)
