"""Results of a method's runs, averaged as its protocol says."""

import statistics
from typing import NamedTuple

from gsp_tf.protocols.comparison import comparison
from gsp_tf.protocols.conventional import conventional
from gsp_tf.protocols.fair import fair
from gsp_tf.protocols.tuning import tuning

METRICS = ("MAP@R", "P@R", "P@1")
# How each protocol averages, by the name that its results have.
AVERAGES = {made().name: made().average for made in (comparison, conventional, fair, tuning)}


class MethodSummary(NamedTuple):
    """A method's metrics over its runs.

    Attributes:
        method: its name.
        seeds: number of runs.
        mean, std: dicts from metric to mean and sample standard deviation (None where there is nothing to spread).
        seconds: mean time of a run.
        counted: what mean and std are over, such as "81 collections"; the seeds by default.
        ensemble: ``(mean, std)``, dicts as above, of the concatenated embeddings of collections, or None.
        dimensions: sizes of the single and the concatenated embedding, or None.
        part: that was measured.
    """

    method: str
    seeds: int
    mean: dict
    std: dict
    seconds: float
    counted: str = ""
    ensemble: tuple | None = None
    dimensions: tuple | None = None
    part: str = "test"


def summarize(results, cards=None):
    """Average results.

    Args:
        results: dict from method to the list of its results (``result.json``).
        cards: dict from method to its :func:`gsp_tf.protocols.collections.collection_card`, where there is one.

    Returns:
        list of :class:`MethodSummary`, in the order of the dict.
    """
    return [_summary(method, found, (cards or {}).get(method)) for method, found in results.items()]


def mean_and_std(metrics):
    """Mean and sample standard deviation of each metric over a list of dicts; the latter None for a single one."""
    values = {metric: [found[metric] for found in metrics] for metric in METRICS}
    return (
        {metric: statistics.fmean(numbers) for metric, numbers in values.items()},
        {metric: statistics.stdev(numbers) if len(numbers) > 1 else None for metric, numbers in values.items()},
    )


def _summary(method, found, card):
    part = found[0].get("measured_on", "test")
    seconds = statistics.fmean(result["seconds"] for result in found)
    if card is not None:
        collections = card["collections"]
        single, ensemble = (mean_and_std([choice[key] for choice in collections]) for key in ("single", "concatenated"))
        counted = f"{len(collections)} collection{'s' if len(collections) > 1 else ''}"
        return MethodSummary(method, len(found), *single, seconds, counted, ensemble, tuple(card["dimensions"]), part)
    measured = [result[part] for result in found]
    if AVERAGES[found[0].get("protocol", "comparison")] == "best":
        best = max(measured, key=lambda metrics: metrics["P@1"])
        return MethodSummary(method, len(found), {metric: best[metric] for metric in METRICS}, dict.fromkeys(METRICS),
                             seconds, f"best of {len(found)}", part=part)
    return MethodSummary(method, len(found), *mean_and_std(measured), seconds, part=part)
