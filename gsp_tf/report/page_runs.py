"""What made a method's runs, for the page: what all share once, what differs in a table."""

from typing import NamedTuple

from gsp_tf.protocols.summary import METRICS
from gsp_tf.report.learning_curves import run_label

_HASH_SHOWN = 12


class RunFacts(NamedTuple):
    """``shared``: tuples of name and text; ``rows``: lists of texts, the head first."""

    shared: list
    rows: list


def run_facts(results):
    """Sort out what is known of some runs.

    Args:
        results: list of what their ``result.json`` s say.
    """
    part = results[0].get("measured_on", "test")
    chosen_on = results[0].get("selected_on", "validation")
    columns = {
        "run": [run_label(result) for result in results],
        "seed": [str(result["seed"]) for result in results],
        "steps": [f"{result['steps']:,}" for result in results],
        "chosen step": [f"{result['best_step']:,}" for result in results],
    }
    if chosen_on != part:
        for metric in ("MAP@R", "P@1"):
            columns[f"{chosen_on} {metric} (%)"] = [f"{100 * result['validation'][metric]:.2f}" for result in results]
    for metric in METRICS:
        columns[f"{part} {metric} (%)"] = [f"{100 * result[part][metric]:.2f}" for result in results]
    columns["seconds"] = [f"{result['seconds']:.0f}" for result in results]
    shared = []
    for name, texts in _origins(results).items():
        if len(set(texts)) == 1:
            shared.append((name, texts[0]))
        else:
            columns[name] = [text[:_HASH_SHOWN] if "SHA-256" in name or name == "commit" else text for text in texts]
    return RunFacts(shared, [list(columns), *map(list, zip(*columns.values(), strict=True))])


def _origins(results):
    """Dict from what a result needs to be trusted to its texts, run by run."""
    values = {}
    for index, result in enumerate(results):
        own = {**result.get("versions", {}),
               **{f"{key.removesuffix('_hash').removesuffix('_sha256')} SHA-256": result[key]
                  for key in ("config_hash", "split_hash", "test_hash", "weights_sha256") if key in result},
               **{key: value for key, value in result.get("hardware", {}).items()},
               "replicas": result.get("replicas"), "trainable parameters": result.get("parameters")}
        for name, value in own.items():
            values.setdefault(name, ["–"] * len(results))[index] = _text(value)
    return values


def _text(value):
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
