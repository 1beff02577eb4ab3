"""Retrieval metrics of an embedder, once or as training goes on."""

import numpy as np
from tensorflow import keras

from gsp_tf.errors import UserError
from gsp_tf.metrics import retrieval_metrics
from gsp_tf.training.embedding import embed, embed_dataset

# Embeddings are float32; another processor or thread count may swap two neighbours at nearly the same distance.
TOLERANCE = 2e-3


def measure(embedder, dataset, ks=(1,)):
    """Retrieval metrics of an embedder on a data set's fixed images.

    A data set with a ``gallery`` is the queries for that; any other is queries and references in one.

    Args:
        embedder: Keras model, see :func:`gsp_tf.training.embedding.embed`.
        dataset: with ``evaluation_batches``, ``image_shape``, ``labels`` and ``class_names``.
        ks: the k of R@k.

    Returns:
        dict, see :func:`gsp_tf.metrics.retrieval_metrics`.
    """
    return metrics_of(embeddings_and_labels(embedder, dataset), ks)


def embeddings_and_labels(embedder, dataset):
    """The ``embeddings`` and ``labels`` of a data set's fixed images, and of its gallery as ``references`` and
    ``reference_labels``, both None without one; a dict."""
    found = {"embeddings": embed_dataset(embedder, dataset), "labels": dataset.labels,
             "references": None, "reference_labels": None}
    gallery = getattr(dataset, "gallery", None)
    if gallery is None:
        return found
    # Each of the two counts its classes for itself.
    names = [np.array(part.class_names)[part.labels] for part in (dataset, gallery)]
    _, labels = np.unique(np.concatenate(names), return_inverse=True)
    queries = len(names[0])
    return {**found, "labels": labels[:queries], "references": embed_dataset(embedder, gallery),
            "reference_labels": labels[queries:]}


def metrics_of(found, ks=(1,)):
    """Retrieval metrics of what :func:`embeddings_and_labels` gave."""
    names = ("embeddings", "labels", "references", "reference_labels")
    return retrieval_metrics(*(found[name] for name in names), ks=ks)


def measured_again(folder, result, found, ks):
    """Metrics of a run's embeddings from its model file, which must be those of its result.

    Args:
        folder: of the run, for the message.
        result: what its ``result.json`` says.
        found: what :func:`embeddings_and_labels` gave for the part that was measured.
        ks: the k of R@k.

    Raises:
        UserError: if they are not.
    """
    metrics = metrics_of(found, ks)
    for metric in ("MAP@R", "P@R", "P@1"):
        said = result[result.get("measured_on", "test")][metric]
        if abs(metrics[metric] - said) > TOLERANCE:
            raise UserError(
                f"{folder}: {metric} is {metrics[metric]:.4f} from model.keras and {said:.4f} in result.json: one of "
                "the two files was changed; train the run again with --overwrite"
            )
    return metrics


class RetrievalEvaluation(keras.callbacks.Callback):
    """Add ``val_MAP@R`` and ``val_P@1`` of fixed images to the logs at the end of every epoch.

    Placed before other callbacks, it lets them monitor these: ``EarlyStopping("val_MAP@R", mode="max")``,
    ``ReduceLROnPlateau``, ``CSVLogger``, ``TensorBoard``.

    Args:
        images: (N, H, W, C) array.
        labels: (N,) whole numbers.
        batch_size: images embedded at a time.
    """

    def __init__(self, images, labels, batch_size=256):
        super().__init__()
        self.metrics_of = lambda embedder: retrieval_metrics(embed(embedder, images, batch_size)["embedding"], labels)

    @classmethod
    def of_dataset(cls, dataset):
        """Evaluate on a data set, see :func:`measure`, without holding all its images in memory."""
        made = cls(None, None)
        made.metrics_of = lambda embedder: measure(embedder, dataset)
        return made

    def on_epoch_end(self, epoch, logs=None):
        metrics = self.metrics_of(self.model.embedder)
        if logs is not None:
            logs.update({"val_MAP@R": metrics["MAP@R"], "val_P@1": metrics["P@1"]})
