"""Small copies of images."""

import numpy as np
import tensorflow as tf


def shrink(images, longest):
    """Images whose longer side has at most so many pixels; smaller ones as they are.

    Args:
        images: (N, H, W, C) array in [0, 1].
        longest: in pixels.

    >>> shrink(np.ones((2, 300, 200, 3), np.float32), 96).shape
    (2, 96, 64, 3)
    """
    side = max(images.shape[1:3])
    if side <= longest:
        return images
    size = [max(1, round(length * longest / side)) for length in images.shape[1:3]]
    # Rounding in the averages may leave the range.
    return np.clip(tf.image.resize(images, size, method="area").numpy(), 0, 1)
