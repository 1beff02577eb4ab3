"""Image files to RGB pixels, in TensorFlow graphs.

TensorFlow's own decoders give the pixels that Pillow gives for JPEG (grey, RGB and CMYK) and PNG (grey, RGB, palette, 1
to 16 bits), and free the interpreter's lock. What they cannot do goes to Pillow: files that their EXIF entry says to
turn, and every other format.
"""

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

_JPEG_START, _JPEG_END, _PNG_START = b"\xff\xd8\xff", b"\xff\xd9", b"\x89PNG\r\n\x1a\n"
_COLUMNS_SEEN = 2
# EXIF's entry 0x0112, of type 3 (16 bits) and count 1, in either byte order, where it is none of 0 and 1, upright.
_TURNED = (
    r"(?:II\*\x00\C*?\x12\x01\x03\x00\x01\x00\x00\x00[\x02-\x08]\x00"
    r"|MM\x00\*\C*?\x01\x12\x00\x03\x00\x00\x00\x01\x00[\x02-\x08])"
)
_TURNED_JPEG, _TURNED_PNG = r"Exif\x00\x00" + _TURNED, "eXIf" + _TURNED


def decode(contents):
    """Decode the bytes of an image file.

    Transparency is left out, as a loader that converts to RGB does; of several frames the first is taken; of 16 bits
    the upper 8; EXIF's orientation is applied.

    Args:
        contents: string tensor of shape (), the whole file.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: for an empty, cut-off or unknown file.

    Example:
        >>> file = tf.io.encode_png(tf.zeros((2, 3, 1), tf.uint8))
        >>> decode(file).shape
        TensorShape([2, 3, 3])
    """
    return decode_window(contents, lambda height, width: tf.stack([0, 0, height, width]))


def decode_window(contents, window_of):
    """Decode a window of an image file, and of a JPEG no more than is needed for it.

    A JPEG is read only as far as the window goes where it ends as a JPEG should, so that a file that was cut off is
    always refused, whatever the window.

    Args:
        contents: string tensor of shape (), the whole file.
        window_of: function of the upright image's height and width, int32 tensors, that returns the window: top, left,
            height and width, int32 (4,).

    Returns:
        uint8 (h, w, 3), RGB: the window of what :func:`decode` returns.

    Raises:
        as :func:`decode`.
    """

    def fused():
        shape = tf.io.extract_jpeg_shape(contents)
        top, left, height, width = tf.unstack(window_of(shape[0], shape[1]))
        # Colours of half resolution are interpolated between columns, of which those outside a window are not seen.
        start, end = tf.maximum(left - _COLUMNS_SEEN, 0), tf.minimum(left + width + _COLUMNS_SEEN, shape[1])
        columns = tf.image.decode_and_crop_jpeg(
            contents, [top, start, height, end - start], channels=3, dct_method="INTEGER_ACCURATE"
        )
        return columns[:, left - start : left - start + width]

    def jpeg():
        whole = tf.strings.substr(contents, -len(_JPEG_END), len(_JPEG_END)) == _JPEG_END
        return tf.cond(whole, fused, lambda: cut(
            tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"), window_of
        ))

    def png():
        return cut(tf.io.decode_png(contents, channels=3), window_of)

    def other():
        image = tf.numpy_function(decode_with_pillow, [contents], tf.uint8)
        return cut(tf.ensure_shape(image, (None, None, 3)), window_of)

    def unless(turned, decoder):
        return lambda: tf.cond(_contains(contents, turned), other, decoder)

    is_jpeg, is_png = (
        tf.strings.substr(contents, 0, len(start)) == start for start in (_JPEG_START, _PNG_START)
    )
    window = tf.cond(
        is_jpeg, unless(_TURNED_JPEG, jpeg), lambda: tf.cond(is_png, unless(_TURNED_PNG, png), other)
    )
    return tf.ensure_shape(window, (None, None, 3))


def cut(image, window_of):
    """The window of a decoded image (H, W, C): see :func:`decode_window`."""
    top, left, height, width = tf.unstack(window_of(tf.shape(image)[0], tf.shape(image)[1]))
    return image[top : top + height, left : left + width]


def decode_with_pillow(contents):
    """Bytes of an image file to uint8 (H, W, 3), RGB, upright, of whatever Pillow opens.

    Raises:
        ValueError: for what it does not open, a file that is cut off, and pixels that are not whole numbers.
    """
    try:
        with Image.open(io.BytesIO(contents)) as image:
            return _as_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise ValueError("it is no image of a known format") from None
    except Exception as error:  # Pillow's readers of the many formats raise whatever comes.
        raise ValueError(str(error) or type(error).__name__) from error


def why_undecodable(path, error):
    """Say in a line why a file could not be decoded.

    Args:
        path: of the file.
        error: what TensorFlow raised; its words are taken if Pillow finds nothing wrong.
    """
    try:
        contents = Path(path).read_bytes()
        if not contents:
            return "it is empty"
        decode_with_pillow(contents)
    except OSError as problem:
        return problem.strerror
    except ValueError as problem:
        return " ".join(str(problem).split())
    return " ".join(str(getattr(error, "message", error)).split())


def _as_rgb(image):
    if image.mode == "F":
        raise ValueError("its pixels are real numbers, whose range is unknown: save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        # Converted to RGB, 16 bits would be clipped at 255.
        image = Image.fromarray(np.clip(np.asarray(image) >> 8, 0, 255).astype(np.uint8))
    if image.mode == "P":
        # Straight to RGB, Pillow warns of the transparency that is lost.
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def _contains(contents, pattern):
    # Replacing searches for the pattern's first letters, several times faster than a match of the whole file.
    rest = tf.strings.regex_replace(contents, pattern, "", replace_global=False)
    return tf.strings.length(rest) < tf.strings.length(contents)
