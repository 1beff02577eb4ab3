"""Retrieval metrics of an embedder, once or as training goes on."""

import numpy as np
from tensorflow import keras

from gsp_tf.metrics import retrieval_metrics
from gsp_tf.training.embedding import embed, embed_dataset


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
    gallery = getattr(dataset, "gallery", None)
    if gallery is None:
        return retrieval_metrics(embed_dataset(embedder, dataset), dataset.labels, ks=ks)
    # Each of the two counts its classes for itself.
    names = [np.array(part.class_names)[part.labels] for part in (dataset, gallery)]
    _, labels = np.unique(np.concatenate(names), return_inverse=True)
    queries = len(names[0])
    return retrieval_metrics(
        embed_dataset(embedder, dataset), labels[:queries], embed_dataset(embedder, gallery), labels[queries:], ks=ks
    )


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
