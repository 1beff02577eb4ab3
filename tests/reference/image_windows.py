"""Windows of images and bilinear interpolation, pixel by pixel."""

import math

import numpy as np


def training_window(resize, min_side, ratio, height, width, variates):
    r = ratio[0] * (ratio[1] / ratio[0]) ** variates[0]
    stretch = max(math.sqrt(r), 1 / math.sqrt(r))
    smallest, largest = (min_side * stretch) ** 2, (resize / stretch) ** 2
    area = smallest + variates[1] * (largest - smallest)
    scale = min(height, width) / resize
    window_width = max(1, min(width, round(math.sqrt(area * r) * scale)))
    window_height = max(1, min(height, round(math.sqrt(area / r) * scale)))
    top = math.floor(variates[2] * (height - window_height + 1))
    left = math.floor(variates[3] * (width - window_width + 1))
    return top, left, window_height, window_width


def evaluation_window(resize, crop, height, width):
    side = max(1, round(min(height, width) * crop / resize))
    return (height - side) // 2, (width - side) // 2, side, side


def bilinear(image, size):
    """Resize (h, w, C) to (size, size, C), pixels being unit squares, the edge repeated."""
    height, width, channels = image.shape
    result = np.zeros((size, size, channels))
    for i in range(size):
        y = min(max((i + 0.5) * height / size - 0.5, 0), height - 1)
        top = math.floor(y)
        bottom = min(top + 1, height - 1)
        for j in range(size):
            x = min(max((j + 0.5) * width / size - 0.5, 0), width - 1)
            left = math.floor(x)
            right = min(left + 1, width - 1)
            upper = (1 - (x - left)) * image[top, left] + (x - left) * image[top, right]
            lower = (1 - (x - left)) * image[bottom, left] + (x - left) * image[bottom, right]
            result[i, j] = (1 - (y - top)) * upper + (y - top) * lower
    return result


def antialiased(image, size):
    """Resize (h, w, C) by triangles as wide as two result pixels where it shrinks."""
    return _along_rows(_along_rows(image, size).swapaxes(0, 1), size).swapaxes(0, 1)


def resized(image, size):
    """Antialiased where a side shrinks to half or less."""
    return antialiased(image, size) if max(image.shape[:2]) >= 2 * size else bilinear(image, size)


def _along_rows(image, size):
    length = len(image)
    step = length / size
    width = max(step, 1)
    result = np.zeros((size, *image.shape[1:]))
    for i in range(size):
        weights = np.array([max(0, 1 - abs(j + 0.5 - (i + 0.5) * step) / width) for j in range(length)])
        result[i] = np.tensordot(weights / weights.sum(), image.astype(float), axes=1)
    return result
