"""Images under the weights that a pooling gave their places."""

import numpy as np
from matplotlib import colormaps

COLORS = "magma"
_OPACITY = 0.6
# Weights that are all 1, as average pooling's, shall not look as if every place was chosen.
_LEAST_TOP = 2.0


def relative_weights(weights):
    """Weights (N, h, w) that sum to 1 as n·p: 1 is what average pooling gives everywhere, 1/μ the most of GSP."""
    weights = np.asarray(weights, np.float32)
    return weights * (weights.shape[1] * weights.shape[2])


def brightest(weights):
    """The weight that has the brightest colour: the largest, 2 at least; see :func:`relative_weights`."""
    return max(_LEAST_TOP, float(weights.max()))


def weight_overlay(images, weights, top):
    """Grey images under colours that tell the weights of their places, each place as large as it is.

    Args:
        images: (N, H, W, C) array in [0, 1]; C is 1 or 3.
        weights: (N, h, w) weights relative to the average's, see :func:`relative_weights`; h ≤ H and w ≤ W.
        top: the weight that has the brightest colour, see :func:`brightest`.

    Returns:
        float32 (N, H, W, 3) in [0, 1].

    >>> weight_overlay(np.zeros((2, 8, 8, 1)), np.ones((2, 4, 4)), top=3.0).shape
    (2, 8, 8, 3)
    """
    height, width = images.shape[1:3]
    # Cells are not smoothed: a smooth map would look more exact than it is.
    rows = np.arange(height) * weights.shape[1] // height
    columns = np.arange(width) * weights.shape[2] // width
    colors = colormaps[COLORS](np.clip(weights[:, rows][:, :, columns] / top, 0, 1))[..., :3]
    grey = np.asarray(images).mean(axis=-1, keepdims=True)
    return ((1 - _OPACITY) * grey + _OPACITY * colors).astype(np.float32)
