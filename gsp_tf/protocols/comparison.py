"""Comparison of methods: every method with every seed on the same data and budget, averaged over seeds."""

import re
import statistics
from pathlib import Path
from typing import NamedTuple

from gsp_tf.errors import UserError
from gsp_tf.training.checkpoint import read_json
from gsp_tf.training.config_file import read_mapping

METRICS = ("MAP@R", "P@R", "P@1")


class ComparedRun(NamedTuple):
    """One run of a comparison and the folder it lives in."""

    method: str
    seed: int
    directory: Path


class MethodSummary(NamedTuple):
    """A method's test metrics over its seeds: mean and sample standard deviation (None for one seed)."""

    method: str
    seeds: int
    mean: dict
    std: dict
    seconds: float


def comparison_runs(job, directory):
    """The runs of a :class:`gsp_tf.training.config.JobConfig`, method by method within a seed.

    Seeds are the outer loop, so that an unfinished job has compared like with like.
    """
    return [ComparedRun(method, seed, run_directory(directory, method, seed))
            for seed in job.seeds for method in job.methods]


def run_directory(directory, method, seed):
    """``<directory>/<method>/seed_<n>``; a config's method names are such that they can be folders."""
    return Path(directory) / method / f"seed_{seed}"


def summarize(results):
    """Average results over seeds.

    Args:
        results: dict from method to the list of its results (``result.json``).

    Returns:
        list of :class:`MethodSummary`, in the order of the dict.
    """
    summaries = []
    for method, found in results.items():
        values = {metric: [result["test"][metric] for result in found] for metric in METRICS}
        summaries.append(MethodSummary(
            method,
            len(found),
            {metric: statistics.fmean(numbers) for metric, numbers in values.items()},
            {metric: statistics.stdev(numbers) if len(numbers) > 1 else None for metric, numbers in values.items()},
            statistics.fmean(result["seconds"] for result in found),
        ))
    return summaries


def find_results(directory):
    """Finished runs below a folder.

    Args:
        directory: of a job, of a method or of one run.

    Returns:
        dict from method to a list of ``(folder, result)``, seeds in order; methods in the job's order where it is
        known.

    Raises:
        UserError: if the folder is missing or holds no finished run.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"run {directory} does not exist: give a folder that train.py wrote")
    found = {}
    for path in sorted(directory.rglob("result.json"), key=lambda path: (path.parts[:-2], _seed(path))):
        result = read_json(path)
        found.setdefault(result["method"], []).append((path.parent, result))
    for method, runs in found.items():
        if len({result["config_hash"] for _, result in runs}) > 1:
            folders = ", ".join(str(folder) for folder, _ in runs)
            raise UserError(
                f"{directory} holds runs of {method} with different configs ({folders}), which have no common mean: "
                "give the folder of one job"
            )
    if not found:
        raise UserError(f"{directory} holds no finished run: run train.py until it prints its table")
    job = directory / "job.yaml"
    if job.exists():
        order = list(read_mapping(job)["methods"])
        found = dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))
    return found


def _seed(path):
    return int(re.sub(r"\D", "", path.parent.name) or 0)
