"""Tables of a hyper-parameter study: its trials by score, and the main effects of a two-level design."""

import math
import statistics
from typing import NamedTuple

from gsp_tf.report.table import NOTHING, figure, layout


class TrialScore(NamedTuple):
    """Validation scores of one setting of one method.

    Attributes:
        label: of the method.
        values: dict from parameter to value; empty for a baseline.
        scores: MAP@R of every run, shares of 1.
        precisions: P@1 of every run; empty where it is not known.
        seconds: mean time of a run, or None.
        name: of the trial.
    """

    label: str
    values: dict
    scores: tuple
    precisions: tuple = ()
    seconds: float | None = None
    name: str = ""

    @property
    def mean(self):
        return statistics.fmean(self.scores)

    @property
    def std(self):
        """Sample standard deviation over runs; None for one run."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


class Effect(NamedTuple):
    """What a parameter's step from its low to its high value adds to the score, on average over the other parameters.

    Attributes:
        label: of the method.
        parameter: which.
        difference: shares of 1.
        error: its standard error from the spread of repeated runs; None without repeats.
    """

    label: str
    parameter: str
    difference: float
    error: float | None


def main_effects(scores, levels):
    """Main effects of a two-level design, by method and parameter.

    Args:
        scores: list of :class:`TrialScore`; baselines are left out.
        levels: dict from parameter to (low, high).

    Returns:
        list of :class:`Effect`; none of a method that lacks trials at one of the levels.

    >>> trials = [TrialScore("C2", {"mu": mu}, (score,)) for mu, score in ((0.3, 0.42), (0.7, 0.40))]
    >>> effect, = main_effects(trials, {"mu": (0.3, 0.7)})
    >>> round(effect.difference, 4)
    -0.02
    """
    effects = []
    for label in dict.fromkeys(score.label for score in scores if score.values):
        own = [score for score in scores if score.label == label and score.values]
        variances = [score.std ** 2 for score in own if score.std is not None]
        for parameter, pair in levels.items():
            low, high = ([score for score in own if score.values[parameter] == level] for level in pair)
            if not low or not high:
                continue
            difference = (statistics.fmean(score.mean for score in high)
                          - statistics.fmean(score.mean for score in low))
            error = None
            if len(variances) == len(own):
                share = sum(sum(1 / len(score.scores) for score in side) / len(side) ** 2 for side in (low, high))
                error = math.sqrt(statistics.fmean(variances) * share)
            effects.append(Effect(label, parameter, difference, error))
    return effects


def effects_table(effects, style="text"):
    """A row a parameter and a column a method: main effects in points of per cent, ± their standard errors."""
    labels = list(dict.fromkeys(effect.label for effect in effects))
    found = {(effect.parameter, effect.label): effect for effect in effects}
    rows = [["main effect", *labels]]
    for parameter in dict.fromkeys(effect.parameter for effect in effects):
        rows.append([parameter, *(_effect(found.get((parameter, label))) for label in labels)])
    return layout(rows, style)


def trials_table(scores, parameters, style="text", published=None, shown=str):
    """A row a trial, best first: validation metrics in per cent, mean ± std over runs.

    Args:
        scores: list of :class:`TrialScore`.
        parameters: their names, a column each.
        style: see :func:`gsp_tf.report.table.layout`.
        published: dict from a trial's name to the (mean, std) that a paper has of it, for a column of them.
        shown: function from a value to its text.
    """
    rows = [["method", *parameters, "MAP@R", "P@1", "runs", "s a run", *([] if published is None else ["published"])]]
    for score in sorted(scores, key=lambda score: -score.mean):
        values = [shown(score.values[name]) if name in score.values else NOTHING for name in parameters]
        label = score.label if score.values else f"{score.label} (baseline)"
        rows.append([label, *values, figure(score.mean, score.std), figure(statistics.fmean(score.precisions), None),
                     str(len(score.scores)), f"{score.seconds:.0f}"])
        if published is not None:
            rows[-1].append(figure(*published[score.name]) if score.name in published else NOTHING)
    return layout(rows, style)


def _effect(effect):
    if effect is None:
        return NOTHING
    return f"{100 * effect.difference:+.2f}" + ("" if effect.error is None else f" ± {100 * effect.error:.2f}")
