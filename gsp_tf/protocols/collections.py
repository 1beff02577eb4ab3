"""The results of a fair protocol's collections: every choice of one model a fold."""

import itertools
import statistics

import numpy as np
from tqdm import tqdm

from gsp_tf.backbones import weights_hash
from gsp_tf.metrics import collection_metrics
from gsp_tf.training.build import build_dataset
from gsp_tf.training.checkpoint import read_json, write_json
from gsp_tf.training.evaluation import embeddings_and_labels, measured_again
from gsp_tf.training.run import KS, load_embedder, load_run

CARD = "card.json"


def collection_card(runs, show_progress=False):
    """Measure every collection of a method's runs, or read what was measured of the same model files before.

    Args:
        runs: list of ``(folder, result)`` of one method under the fair protocol.
        show_progress: whether to show it.

    Returns:
        dict of the method, its ``runs`` (fold, repeat, seed, hashes, metrics), the ``dimensions`` of the single and
        the concatenated embedding, and its ``collections``: for each the ``repeats`` it takes, fold by fold, the mean
        of its models' metrics (``single``) and the metrics of their concatenated embeddings (``concatenated``). The
        card stands in ``card.json`` beside the runs' folders, too. None if a fold has no finished run yet.

    Raises:
        UserError: for a model file that does not give what its result says.
    """
    by_fold = {}
    for folder, result in sorted(runs, key=lambda run: (run[1]["fold"], run[1]["repeat"])):
        by_fold.setdefault(result["fold"], []).append((folder, result))
    if len(by_fold) < runs[0][1]["config"]["data"]["folds"]:
        return None
    path = runs[0][0].parent / CARD
    models = {folder.name: weights_hash(folder / "model.keras") for folder, _ in runs}
    if path.exists():
        card = read_json(path)
        if {run["folder"]: run["model_sha256"] for run in card["runs"]} == models:
            return card
    card = _measure(list(by_fold.values()), models, show_progress)
    write_json(path, card)
    return card


def _measure(folds, models, show_progress):
    """``folds``: for every fold the list of its runs, in the order of the repeats."""
    runs = [run for fold in folds for run in fold]
    method = runs[0][1]["method"]
    gathered, described = {}, []
    for folder, result in tqdm(runs, f"{method}: embedding", unit="model", disable=not show_progress):
        config, _ = load_run(folder)
        found = embeddings_and_labels(load_embedder(folder), build_dataset(config, "test"))
        gathered[folder] = found
        metrics = measured_again(folder, result, found, KS)
        kept = ("fold", "repeat", "seed", "steps", "seconds", "config_hash", "split_hash", "test_hash",
                "weights_sha256", "versions", "hardware")
        described.append({"folder": folder.name, "model_sha256": models[folder.name], "metrics": metrics,
                          **{key: result[key] for key in kept if key in result}})
    sets, gallery = ([[gathered[folder][place] for folder, _ in fold] for fold in folds]
                     for place in ("embeddings", "references"))
    first = gathered[runs[0][0]]
    title = f"{method}: collections"
    with tqdm(total=len(first["labels"]), desc=title, unit="query", disable=not show_progress) as bar:

        def progress(done):
            bar.update(done - bar.n)

        measured = collection_metrics(
            sets, first["labels"], None if first["references"] is None else gallery, first["reference_labels"], ks=KS,
            progress=progress,
        )
    single = {(run["fold"], run["repeat"]): run["metrics"] for run in described}
    numbers = [[(result["fold"], result["repeat"]) for _, result in fold] for fold in folds]
    collections = []
    for choice, concatenated in zip(itertools.product(*numbers), measured, strict=True):
        means = {metric: statistics.fmean(single[run][metric] for run in choice) for metric in concatenated.metrics}
        collections.append({
            "repeats": [repeat for _, repeat in choice], "single": means, "concatenated": concatenated.metrics,
        })
    widths = [np.shape(fold[0])[1] for fold in sets]
    return {
        "method": method, "protocol": "fair", "config": runs[0][1]["config"],
        "dimensions": [widths[0], sum(widths)], "runs": described, "collections": collections,
    }
