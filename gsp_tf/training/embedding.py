"""Outputs of an embedder over arrays of images."""

import numpy as np
import tensorflow as tf


def embed(embedder, images, batch_size=256):
    """Run an embedder in inference mode over (N, H, W, C) images; a dict of NumPy arrays.

    This is no ``predict``: under several workers that would make every worker wait for all others.

    Args:
        embedder: Keras model from images to a tensor or a dict of tensors.
        images: array of at least one image.
        batch_size: images at a time.

    Returns:
        dict of (N, ...) arrays, of key "embedding" where the embedder returns a single tensor.
    """
    collected = {}
    for start in range(0, len(images), batch_size):
        outputs = embedder(tf.constant(images[start:start + batch_size]), training=False)
        outputs = outputs if isinstance(outputs, dict) else {"embedding": outputs}
        for name, value in outputs.items():
            collected.setdefault(name, []).append(value.numpy())
    return {name: np.concatenate(parts) for name, parts in collected.items()}
