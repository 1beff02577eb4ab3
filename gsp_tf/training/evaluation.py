"""Retrieval metrics as training goes on."""

from tensorflow import keras

from gsp_tf.metrics import retrieval_metrics
from gsp_tf.training.embedding import embed


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
        self.images, self.labels, self.batch_size = images, labels, batch_size

    def on_epoch_end(self, epoch, logs=None):
        embeddings = embed(self.model.embedder, self.images, self.batch_size)["embedding"]
        metrics = retrieval_metrics(embeddings, self.labels)
        if logs is not None:
            logs.update({"val_MAP@R": metrics["MAP@R"], "val_P@1": metrics["P@1"]})
