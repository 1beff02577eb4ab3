"""Pictures of a training for TensorBoard: where the pooling looks, and the embedding in its projector."""

import re

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins.projector import ProjectorConfig
from tensorflow import keras

from gsp_tf.training.checkpoint import replaced, write_text
from gsp_tf.training.embedding import embed, embed_batches
from gsp_tf.training.thumbnails import shrink
from gsp_tf.training.weight_overlay import brightest, relative_weights, weight_overlay

_AT_ONCE = 64
# Sides in pixels: of an image of the projector, and of one with weights, which every epoch writes anew.
_TILE, _SHOWN = 40, 96


class TensorBoardImages(keras.callbacks.Callback):
    """Write the pooling's weights over a few images after every epoch, and the embedding for the projector in the end.

    Images have the number of the epoch, as the scalars of Keras's ``TensorBoard`` have. What a killed run wrote stays,
    and the run that goes on adds to it. An embedder without a map of weights has no images, only the projector.

    Args:
        directory: of its own below TensorBoard's, such as ``tensorboard/images``: TensorBoard reads a folder's event
            files one after the other, so those of another writer in the same folder would be lost.
        dataset: with ``evaluation_images``, ``labels`` and ``class_names``: the validation part. Where the test part
            validates give the training part: pictures of test images tempt to choose by them.
        images: how many of it, of classes from all over, are shown under their weights.
        points: how many embeddings, at most, the projector has.
    """

    def __init__(self, directory, dataset, images=4, points=1000):
        super().__init__()
        self.directory, self.dataset, self.points = directory, dataset, points
        self._chosen = _spread(dataset.labels, images)
        self._writer = self._images = None

    def on_epoch_end(self, epoch, logs=None):
        outputs = self.model.embedder.output
        # Tokens (B, n) have no places on the image.
        if not isinstance(outputs, dict) or "weights" not in outputs or len(outputs["weights"].shape) != 3:
            return
        if self._images is None:
            self._images = self.dataset.evaluation_images(self._chosen)
        weights = relative_weights(embed(self.model.embedder, self._images)["weights"])
        top = brightest(weights)
        small = shrink(self._images, _SHOWN)
        overlays = weight_overlay(small, weights, top)
        shown = np.concatenate([np.broadcast_to(small, overlays.shape), overlays], axis=2)
        enlarged = max(1, _SHOWN // shown.shape[1])
        names = ", ".join(self._class_names(self._chosen))
        with self._recording():
            # TensorBoard keeps the first description alone, so it names nothing that changes.
            tf.summary.image(
                "pooling weights", shown.repeat(enlarged, axis=1).repeat(enlarged, axis=2), step=epoch,
                max_outputs=len(shown), description=f"Images of the classes {names}, beside the weights of their "
                "places relative to average pooling: from 0 (dark) to the epoch's largest, at least 2 (bright)",
            )

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.flush()

    def write_projector(self, embedder):
        """Write the files of TensorBoard's projector: ``projector_config.pbtxt`` and what it names.

        No hook of ``fit`` does this, for the weights that a run keeps are not those of its last step.

        Args:
            embedder: with the weights to show.
        """
        # Only a folder with an event file is a run to TensorBoard.
        with self._recording():
            tf.summary.text("projector", f"{len(self.dataset.labels)} images; see the tab Projector", step=0)
        chosen = _spread(self.dataset.labels, self.points)
        parts = np.array_split(chosen, -(-len(chosen) // _AT_ONCE))
        tiles = []

        def batches():
            for part in parts:
                images = self.dataset.evaluation_images(part)
                tiles.extend(tf.image.resize(images, (_TILE, _TILE), antialias=True).numpy())
                yield images

        embeddings = embed_batches(embedder, batches(), keys=("embedding",))["embedding"]
        with replaced(self.directory / "embedding.tsv") as partial:
            np.savetxt(partial, embeddings, fmt="%.7g", delimiter="\t")
        rows = [f"{name}\t{index}" for name, index in zip(self._class_names(chosen), chosen, strict=True)]
        write_text(self.directory / "metadata.tsv", "\n".join(["class\timage", *rows]) + "\n")
        with replaced(self.directory / "sprite.png") as partial:
            partial.write_bytes(tf.io.encode_png(_sprite(np.stack(tiles))).numpy())
        config = ProjectorConfig()
        shown = config.embeddings.add(
            tensor_name="embedding", tensor_path="embedding.tsv", metadata_path="metadata.tsv",
            tensor_shape=embeddings.shape,
        )
        shown.sprite.image_path = "sprite.png"
        shown.sprite.single_image_dim.extend([_TILE, _TILE])
        write_text(self.directory / "projector_config.pbtxt", text_format.MessageToString(config))
        self._writer.flush()

    def _recording(self):
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.directory))
        return self._writer.as_default()

    def _class_names(self, indices):
        """Names of the images' classes, without what ends a cell of a table."""
        names = [self.dataset.class_names[label] for label in self.dataset.labels[indices]]
        return [re.sub(r"[\t\r\n]", " ", str(name)) for name in names]


def _spread(labels, count):
    """At most ``count`` indices of images, evenly over the images as their classes order them."""
    order = np.argsort(labels, kind="stable")
    return order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]


def _sprite(tiles):
    """Square (N, s, s, C) images in [0, 1] in a square of rows, uint8."""
    count, side, _, channels = tiles.shape
    rows = int(np.ceil(np.sqrt(count)))
    tiles = np.concatenate([tiles, np.zeros((rows * rows - count, side, side, channels), tiles.dtype)])
    sheet = tiles.reshape(rows, rows, side, side, channels).swapaxes(1, 2).reshape(rows * side, rows * side, channels)
    return np.rint(255 * np.clip(sheet, 0, 1)).astype(np.uint8)
