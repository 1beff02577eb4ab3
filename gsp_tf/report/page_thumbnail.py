"""Images as texts that a page holds within itself."""

import base64

import numpy as np
import tensorflow as tf
from matplotlib import colormaps

from gsp_tf.training.weight_overlay import COLORS

# The longer side of a picture, in pixels: twice what a page shows.
SHOWN = 144
# Images up to this size keep every pixel; a page shows them enlarged.
_SMALL = 64


def data_uri(image):
    """An (H, W, C) image in [0, 1], C being 1 or 3: small ones as PNG, photographs as the smaller JPEG."""
    pixels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    if max(pixels.shape[:2]) <= _SMALL:
        return _uri("png", tf.io.encode_png(pixels))
    return _uri("jpeg", tf.io.encode_jpeg(pixels, quality=88))


def strip_uri(values):
    """A row of numbers in [0, 1] as a picture of one pixel each."""
    pixels = np.rint(255 * colormaps[COLORS](np.asarray(values))[np.newaxis, :, :3]).astype(np.uint8)
    return _uri("png", tf.io.encode_png(pixels))


def scale_css():
    """The colours of weights from none to most, as a CSS gradient."""
    colors = 255 * colormaps[COLORS](np.linspace(0, 1, 9))[:, :3]
    stops = ", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in colors)
    return f"linear-gradient(to right, {stops})"


def _uri(kind, encoded):
    return f"data:image/{kind};base64,{base64.b64encode(encoded.numpy()).decode()}"
