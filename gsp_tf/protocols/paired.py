"""Two methods on the same folds and repeats: how far apart, and whether that is more than chance."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from gsp_tf.errors import UserError
from gsp_tf.protocols.summary import METRICS

RUNS = "runs"


class PairedDifference(NamedTuple):
    """A's metric less B's, over pairs of the same folds and repeats.

    Attributes:
        name: of what is compared, "A − B".
        kind: "single", "concatenated" (of collections) or "runs".
        metric: which.
        pairs: how many.
        mean, std: of the differences, shares of 1; std is None for one pair.
        p_value: of Wilcoxon's signed-rank test, two-sided; None where no pair differs or there is one pair only.
    """

    name: str
    kind: str
    metric: str
    pairs: int
    mean: float
    std: float | None
    p_value: float | None


def compare(first, second):
    """Differences between two evaluated jobs.

    Methods of the same name are compared; two jobs of one method each are compared whatever their names.

    Args:
        first, second: :class:`gsp_tf.protocols.evaluated.EvaluatedJob`.

    Returns:
        ``(rows, notes)``: list of :class:`PairedDifference`, and sentences that belong below them.

    Raises:
        UserError: for jobs without a common method, fold and repeat, or with different test data.
    """
    if len(first.runs) == len(second.runs) == 1:
        pairs = [(next(iter(first.runs)), next(iter(second.runs)))]
    else:
        pairs = [(name, name) for name in first.runs if name in second.runs]
    if not pairs:
        raise UserError(
            f"--compare: the first has the methods {', '.join(first.runs)}, the second {', '.join(second.runs)}, and "
            "none is in both: give folders of one method each"
        )
    rows = []
    for one, other in pairs:
        name = one if one == other else f"{one} − {other}"
        own, theirs = ({_key(result): result for _, result in job.runs[method]}
                       for job, method in ((first, one), (second, other)))
        common = [key for key in own if key in theirs]
        if not common:
            raise UserError(f"--compare: {name}: no fold and repeat is finished in both")
        hashes = {result.get("test_hash") for found in (own, theirs) for result in found.values()}
        if len(hashes) > 1:
            raise UserError(f"--compare: {name}: the two were measured on different test data, so nothing is paired")
        if one in first.cards and other in second.cards:
            rows += _collections(name, first.cards[one], second.cards[other])
        rows += [_difference(name, RUNS, metric, [(_metrics(own[key])[metric], _metrics(theirs[key])[metric])
                                                  for key in common]) for metric in METRICS]
    notes = ["differences in points of per cent; p: Wilcoxon's signed-rank test, two-sided"]
    if any(row.kind != RUNS for row in rows):
        notes.append("collections share models, so their p understates chance: look at the one over the runs, too")
    return rows, notes


def _collections(name, own, theirs):
    both = {tuple(choice["repeats"]): choice for choice in theirs["collections"]}
    paired = [(choice, both[tuple(choice["repeats"])]) for choice in own["collections"]
              if tuple(choice["repeats"]) in both]
    return [_difference(name, kind, metric, [(one[kind][metric], other[kind][metric]) for one, other in paired])
            for kind in ("single", "concatenated") for metric in METRICS if paired]


def _difference(name, kind, metric, pairs):
    differences = np.array([one - other for one, other in pairs])
    tested = len(differences) > 1 and np.any(differences != 0)
    return PairedDifference(
        name, kind, metric, len(differences), float(differences.mean()),
        float(differences.std(ddof=1)) if len(differences) > 1 else None,
        float(stats.wilcoxon(differences).pvalue) if tested else None,
    )


def _key(result):
    fold = result.get("fold")
    return ("seed", result["seed"]) if fold is None else (fold, result["repeat"])


def _metrics(result):
    return result[result.get("measured_on", "test")]
