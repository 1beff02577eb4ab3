"""A job's finished runs with what they amount to."""

from pathlib import Path
from typing import NamedTuple

from gsp_tf.errors import UserError
from gsp_tf.protocols.collections import collection_card
from gsp_tf.protocols.results import find_results, trusted
from gsp_tf.protocols.summary import AVERAGES, summarize
from gsp_tf.training.build import build_dataset
from gsp_tf.training.checkpoint import write_json
from gsp_tf.training.config_file import read_mapping
from gsp_tf.training.evaluation import embeddings_and_labels, measured_again
from gsp_tf.training.run import KS, load_embedder, load_run


class EvaluatedJob(NamedTuple):
    """What the finished runs of a folder amount to.

    Attributes:
        runs: dict from method to the ``(folder, result)`` s that count.
        cards: dict from method to its card of collections, where the protocol has any.
        summaries: list of :class:`gsp_tf.protocols.summary.MethodSummary`.
        notes: sentences that belong below every table of them.
    """

    runs: dict
    cards: dict
    summaries: list
    notes: list


def evaluate_job(directory, method=None, again=False, show_progress=False):
    """Read the finished runs below a folder, leave out what may not be averaged, and average.

    Args:
        directory: of a job, of a method or of one run.
        method: the only method to take, or None.
        again: whether to measure every model file again, where it would do to read results.
        show_progress: whether to show it.

    Returns:
        :class:`EvaluatedJob`.

    Raises:
        UserError: for a folder without finished runs, an unknown method, or a model that does not give what its
            result says.
    """
    found = find_results(directory)
    if method is not None:
        if method not in found:
            raise UserError(f"--method must be one of {', '.join(found)}; got {method!r}")
        found = {method: found[method]}
    kept, notes = trusted(found)
    cards, results = {}, {}
    for name, runs in kept.items():
        results[name] = [result for _, result in runs]
        if AVERAGES[results[name][0].get("protocol", "comparison")] == "collections":
            card = collection_card(runs, show_progress)
            if card is None:
                notes.append(f"{name}: not every fold has a finished run yet, so there are no collections")
            else:
                cards[name] = card
        elif again:
            results[name] = [_measured_again(folder, result) for folder, result in runs]
    return EvaluatedJob(kept, cards, summarize(results, cards), notes)


def write_card(directory, evaluated):
    """Write ``results.json``: the job's protocol, what its methods come to, and what each of their runs was.

    Everything that a reader needs to trust, or to repeat, the table is in it: configs with their hashes, versions,
    commit, seeds, hashes of data and weights, hardware, steps, times and metrics.
    """
    methods = {}
    for summary in evaluated.summaries:
        runs = [{"folder": folder.name, **result} for folder, result in evaluated.runs[summary.method]]
        # Runs differ in the fold alone, which each has; the curves are in each run's own result.
        config = runs[0]["config"]
        runs = [{key: value for key, value in run.items() if key not in ("config", "evaluations")} for run in runs]
        methods[summary.method] = {**summary._asdict(), "config": config, "runs": runs,
                                   "collections": evaluated.cards.get(summary.method, {}).get("collections")}
    job = Path(directory) / "job.yaml"
    write_json(Path(directory) / "results.json", {
        "job": read_mapping(job) if job.exists() else None, "notes": evaluated.notes, "methods": methods,
    })


def _measured_again(folder, result):
    part = result.get("measured_on", "test")
    dataset = build_dataset(load_run(folder)[0], part)
    found = embeddings_and_labels(load_embedder(folder), dataset)
    return {**result, part: measured_again(folder, result, found, KS)}
