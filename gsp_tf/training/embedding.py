"""Outputs of an embedder over many images."""

import numpy as np
import tensorflow as tf

# What one batch of float32 images may take: 256 small ones, about a hundred of 227 × 227.
_BATCH_BYTES, _MAX_BATCH = 64 * 2**20, 256


def embed(embedder, images, batch_size=256):
    """Run an embedder in inference mode over (N, H, W, C) images; a dict of NumPy arrays.

    Args:
        embedder: Keras model from images to a tensor or a dict of tensors.
        images: array of at least one image.
        batch_size: images at a time.

    Returns:
        dict of (N, ...) arrays, of key "embedding" where the embedder returns a single tensor.
    """
    return embed_batches(embedder, (images[start:start + batch_size] for start in range(0, len(images), batch_size)))


def embed_dataset(embedder, dataset):
    """The embeddings (N, D) of the fixed images of a data set, which are never all in memory.

    Args:
        embedder: as of :func:`embed`.
        dataset: with ``evaluation_batches(batch_size)`` and ``image_shape``.
    """
    size = int(np.clip(_BATCH_BYTES // (4 * np.prod(dataset.image_shape)), 1, _MAX_BATCH))
    return embed_batches(embedder, dataset.evaluation_batches(size), keys=("embedding",))["embedding"]


def embed_batches(embedder, batches, keys=None):
    """What :func:`embed` gives, of images that come batch by batch; only some ``keys`` of it if they are given."""
    # This is no ``predict``: under several workers that would make every worker wait for all others.
    collected = {}
    for images in batches:
        outputs = embedder(tf.constant(images), training=False)
        outputs = outputs if isinstance(outputs, dict) else {"embedding": outputs}
        for name, value in outputs.items():
            if keys is None or name in keys:
                collected.setdefault(name, []).append(value.numpy())
    return {name: np.concatenate(parts) for name, parts in collected.items()}
