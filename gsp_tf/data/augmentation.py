"""Windows of images, their size, and flips."""

from dataclasses import dataclass
from numbers import Real

import tensorflow as tf

from gsp_tf.data.checks import check_whole_number

# Uniform numbers in [0, 1) that one training image takes: aspect ratio, area, top, left, flip.
VARIATES = 5
# Below this, every pixel of the window still weighs in the result without antialiasing.
_ANTIALIASED_SHRINKING = 2


@dataclass(frozen=True)
class Augmentation:
    """Settings: what part of an image is shown, at what size.

    In an image whose shorter side is resized to ``resize``,

    - training shows a random window with both sides between ``min_side`` and ``resize`` and an aspect ratio w/h in
      ``ratio`` (log-uniform; then the area, uniform in what both bounds leave; then the place), mirrored with
      probability ``flip``;
    - evaluation shows the square of side ``crop`` in the middle;

    resized to ``crop`` × ``crop``. The window is computed in the coordinates of the original image, rounded to its
    whole pixels: the same window as after resizing first, but only it is decoded, and resized once.

    Args:
        resize: side that the shorter side of an image counts as.
        crop: side of the result, at most ``resize``.
        min_side: shortest side of a window, so that one with the most extreme ``ratio`` still has none beyond
            ``resize``.
        ratio: smallest and largest aspect ratio, (1, 1) for squares.
        flip: probability in [0, 1].

    Raises:
        ValueError: for a value out of range.

    Example:
        >>> whole_image = Augmentation(resize=32, crop=32, min_side=32, ratio=(1, 1), flip=0)

    Source: GSP paper, supplement, "Experimental Setup"; the defaults are its values for CUB, Cars196, SOP, In-shop.
    """

    resize: int = 256
    crop: int = 227
    min_side: int = 40
    ratio: tuple = (3 / 4, 4 / 3)
    flip: float = 0.5

    def __post_init__(self):
        for name in ("resize", "crop", "min_side"):
            check_whole_number(name, getattr(self, name), minimum=1)
        if self.crop > self.resize:
            raise ValueError(f"crop must be at most resize={self.resize}, got {self.crop}.")
        ratio = tuple(self.ratio) if isinstance(self.ratio, (tuple, list)) else ()
        if len(ratio) != 2 or not all(_is_number(value) for value in ratio) or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"ratio must be two positive numbers, the smaller first, got {self.ratio!r}.")
        # Plain values, equal and hashable whichever form they came in.
        object.__setattr__(self, "ratio", tuple(float(value) for value in ratio))
        farther = max(self.ratio[1], 1 / self.ratio[0])
        if self.min_side * farther > self.resize + 1e-9 * self.resize:
            raise ValueError(
                f"min_side must be at most {self.resize / farther:g}, or a window with an aspect ratio in {self.ratio} "
                f"would have a side beyond resize={self.resize}, got {self.min_side}."
            )
        if not _is_number(self.flip) or not 0 <= self.flip <= 1:
            raise ValueError(f"flip must be a probability from 0 to 1, got {self.flip!r}.")


def training_window(augmentation, height, width, variates):
    """A random window.

    With u₁, … in [0, 1), r = r₀ (r₁/r₀)^u₁ and q = max(√r, 1/√r), the geometric mean s of its sides is

        s² = (min_side · q)² + u₂ [(resize / q)² − (min_side · q)²],      w = s √r,  h = s / √r.

    Args:
        augmentation: :class:`Augmentation`.
        height, width: int32 tensors, of the image.
        variates: float64 (``VARIATES``,) in [0, 1).

    Returns:
        int32 (4,): top, left, height and width, inside the image.
    """
    low, high = augmentation.ratio
    root = tf.sqrt(low * (high / low) ** variates[0])
    stretch = tf.maximum(root, 1 / root)
    smallest, largest = (augmentation.min_side * stretch) ** 2, (augmentation.resize / stretch) ** 2
    scale = _shorter(height, width) / augmentation.resize
    side = tf.sqrt(smallest + variates[1] * (largest - smallest)) * scale
    window_height, window_width = _side(side / root, height), _side(side * root, width)
    return tf.stack([
        _place(height - window_height, variates[2]), _place(width - window_width, variates[3]),
        window_height, window_width,
    ])


def evaluation_window(augmentation, height, width):
    """The square in the middle: int32 (4,), top, left, height and width, of an image with this height and width."""
    side = _side(_shorter(height, width) * augmentation.crop / augmentation.resize, tf.minimum(height, width))
    return tf.stack([(height - side) // 2, (width - side) // 2, side, side])


def mirrored(image, augmentation, variates):
    """The image (H, W, C), left and right exchanged if the last of the variates says so."""
    return tf.cond(variates[4] < augmentation.flip, lambda: tf.reverse(image, [1]), lambda: image)


def resized(image, size):
    """Resize bilinearly to a square.

    With antialiasing where a side shrinks to half or less, for plain interpolation, of the two nearest pixels in each
    direction, would pass over pixels there; otherwise without, which takes a quarter of the time.

    Args:
        image: uint8 (h, w, C).
        size: side of the result.

    Returns:
        float32 (size, size, C) in [0, 1].
    """
    longer = tf.maximum(tf.shape(image)[0], tf.shape(image)[1])
    result = tf.cond(
        longer >= _ANTIALIASED_SHRINKING * size,
        # Its weights add up to 1 but for rounding.
        lambda: tf.minimum(tf.image.resize(image, (size, size), antialias=True), 255.0),
        lambda: tf.image.resize(image, (size, size)),
    )
    return result / 255


def _shorter(height, width):
    return tf.cast(tf.minimum(height, width), tf.float64)


def _side(length, limit):
    return tf.clip_by_value(tf.cast(tf.round(length), tf.int32), 1, limit)


def _place(room, variate):
    return tf.cast(tf.floor(variate * tf.cast(room + 1, tf.float64)), tf.int32)


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) < float("inf")
