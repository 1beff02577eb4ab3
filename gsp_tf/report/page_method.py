"""All that the page shows of one method."""

from typing import NamedTuple

import numpy as np
import yaml

from gsp_tf.errors import UserError
from gsp_tf.report.embedding_map import EmbeddingMap, embedding_map
from gsp_tf.report.learning_curves import learning_curves, run_label
from gsp_tf.report.page_runs import RunFacts, run_facts
from gsp_tf.report.prototype_usage import PrototypeUsage, prototype_usage
from gsp_tf.report.retrieval_sheet import Sheet, retrieval_sheet
from gsp_tf.report.weight_maps import WeightMaps, weight_maps
from gsp_tf.training.build import build_dataset
from gsp_tf.training.evaluation import embeddings_and_labels
from gsp_tf.training.run import load_embedder, load_run


class PageMethod(NamedTuple):
    """One method's part of the page.

    Attributes:
        id: of its section.
        name: of the method.
        part: that the pictures are of, "test" or "validation".
        images: how many images that part has.
        best: label of the run that the pictures are of.
        chosen_by: the score that made it the best, in words.
        curves, lines: of :func:`gsp_tf.report.learning_curves.learning_curves`.
        sheet, maps, weights, usage: the pictures; None where there is nothing to draw.
        config: YAML text of the best run's.
        facts: of all runs.
    """

    id: str
    name: str
    part: str
    images: int
    best: str
    chosen_by: str
    curves: list
    lines: list
    sheet: Sheet
    weights: WeightMaps | None
    usage: PrototypeUsage | None
    maps: EmbeddingMap | None
    config: str
    facts: RunFacts


def page_method(name, runs, number):
    """Draw the pictures of a method, those of images from its run with the best score of the checkpoint's choice.

    Args:
        name: of the method.
        runs: list of its ``(folder, result)``.
        number: of the method on the page.

    Raises:
        UserError: for a run's files or images that are missing.
    """
    results = [result for _, result in runs]
    for own, result in runs:
        if "evaluations" not in result:
            raise UserError(f"{own}: its result.json has no evaluations, as earlier versions wrote it: train the run "
                            "again with --overwrite")
    scores = [_choosing_score(result) for result in results]
    best = int(np.argmax([score for _, score in scores]))
    folder, result = runs[best]
    part = result.get("measured_on", "test")
    embedder = load_embedder(folder)
    try:
        dataset = build_dataset(load_run(folder)[0], part)
    except UserError as error:
        raise UserError(f"a page shows images, and those of {name}'s {part} part are not to be had: {error}") from None
    keeping = _KeepingHistograms(embedder)
    found = embeddings_and_labels(keeping, dataset)
    names, labels = dataset.class_names, np.asarray(dataset.labels)
    anchor = f"method-{number}"
    curves, lines = learning_curves(results, best, anchor)
    usage = None
    if keeping.histograms:
        # What comes after the queries is the gallery.
        histograms = np.concatenate(keeping.histograms)[:len(labels)].astype(np.float32)
        usage = prototype_usage(histograms, labels, names, f"{anchor}-usage")
    metric, score = scores[best]
    return PageMethod(
        anchor, name, part, len(labels), run_label(result),
        f"{result.get('selected_on', 'validation')} {metric}, {100 * score:.2f} %", curves, lines,
        retrieval_sheet(found, dataset), weight_maps(embedder, dataset), usage,
        embedding_map(found["embeddings"], labels, names, anchor),
        yaml.safe_dump(result["config"], sort_keys=False, allow_unicode=True), run_facts(results),
    )


def _choosing_score(result):
    """The metric that the run's checkpoint was chosen by, and its value."""
    metric = result["config"]["training"].get("monitor", "MAP@R")
    return metric, result["validation"][metric]


class _KeepingHistograms:
    """An embedder that keeps the histograms of all images that it embeds; without any it keeps nothing."""

    def __init__(self, embedder):
        self.embedder, self.histograms = embedder, []

    def __call__(self, images, training):
        outputs = self.embedder(images, training=training)
        if "histogram" in outputs:
            self.histograms.append(outputs["histogram"].numpy())
        return outputs
