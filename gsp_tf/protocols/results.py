"""Finished runs on disk, and which of them may be averaged."""

import re
from collections import Counter
from pathlib import Path

from gsp_tf.errors import UserError
from gsp_tf.training.checkpoint import read_json
from gsp_tf.training.config_file import read_mapping
from gsp_tf.training.provenance import config_hash


def find_results(directory):
    """Finished runs below a folder.

    Args:
        directory: of a job, of a method or of one run.

    Returns:
        dict from method to a list of ``(folder, result)``, folds and repeats in order; methods in the job's order
        where it is known.

    Raises:
        UserError: if the folder is missing or holds no finished run, or those of several configs under one name.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"run {directory} does not exist: give a folder that train.py wrote")
    found = {}
    for path in sorted(directory.rglob("result.json"), key=lambda path: (path.parts[:-2], _numbers(path))):
        result = read_json(path)
        found.setdefault(result["method"], []).append((path.parent, result))
    for method, runs in found.items():
        if len({_config_but_fold(result) for _, result in runs}) > 1:
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


def trusted(found):
    """The runs that may be averaged with each other, and sentences on what may not or must be known.

    Of a method's runs those count that agree on the code (version and commit of the package) and on the data (the
    hash of the test part; that of the split among the runs of a fold): the largest such group. The others are left
    out by name.

    Args:
        found: see :func:`find_results`.

    Returns:
        ``(kept, notes)``: ``kept`` as ``found``, without what is left out.
    """
    kept, notes = {}, []
    for method, runs in found.items():
        best = Counter(_identity(result) for _, result in runs).most_common(1)[0][0]
        splits = {}
        for _, result in runs:
            if _identity(result) == best:
                splits.setdefault(result.get("fold"), Counter())[result.get("split_hash")] += 1
        kept[method] = []
        for folder, result in runs:
            fold = result.get("fold")
            if _identity(result) != best:
                notes.append(f"left out: {folder}: {_difference(_identity(result), best)} of the other runs")
            elif result.get("split_hash") != splits[fold].most_common(1)[0][0]:
                notes.append(f"left out: {folder}: its split is not that of the other runs of fold {fold}")
            else:
                kept[method].append((folder, result))
    names = {"versions": "the code (version, commit)", "test_hash": "the test data"}
    for index, what in enumerate(names.values()):
        if len({_identity(runs[0][1])[index] for runs in kept.values()}) > 1:
            notes.append(f"careful: {what} is not the same for all methods")
    results = [result for runs in kept.values() for _, result in runs]
    if any(result.get("selected_on") == "test" for result in results):
        notes.append("THE TEST SET CHOSE THE CHECKPOINT: these figures are above what new classes would give")
    if any(result.get("measured_on") == "validation" for result in results):
        notes.append("measured on validation classes, which also chose the checkpoint: to compare settings only")
    return kept, notes


def _identity(result):
    versions = result.get("versions", {})
    return (versions.get("gsp_tf"), versions.get("commit")), result.get("test_hash")


def _difference(own, others):
    if own[0] != others[0]:
        return f"its code is {' '.join(map(str, own[0]))}, not the {' '.join(map(str, others[0]))}"
    return f"its test data ({own[1]}) are not the ones ({others[1]})"


def _config_but_fold(result):
    config = result.get("config")
    if config is None:
        return result["config_hash"]
    return config_hash({**config, "data": {key: value for key, value in config["data"].items() if key != "fold"}})


def _numbers(path):
    """``seed_10`` comes after ``seed_9``, ``fold_1_repeat_0`` after ``fold_0_repeat_2``."""
    return [int(number) for number in re.findall(r"\d+", path.parent.name)]
