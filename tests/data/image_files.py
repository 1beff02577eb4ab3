"""Image files of every kind, made by Pillow."""

import io

import numpy as np
from PIL import Image

from gsp_tf.data.labelled_images import LabelledImages

ORIENTATION = 0x0112


def smooth_pixels(height, width, seed=0):
    """uint8 (height, width, 3) that a JPEG keeps almost as they are, different in every corner and for every seed."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3))
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    upper, lower = ((1 - x) * corners[i, 0] + x * corners[i, 1] for i in range(2))
    return np.rint((1 - y) * upper + y * lower).astype(np.uint8)


def file_bytes(image, kind="JPEG", **options):
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}), **options)
    return buffer.getvalue()


def opened(contents):
    """What Pillow makes of it, (H, W, 3) int."""
    image = Image.open(io.BytesIO(contents))
    return np.asarray(image.convert("RGBA" if image.mode == "P" else "RGB"))[..., :3].astype(int)


def exif(orientation, big_endian=False):
    """An EXIF block that says how to turn an image, behind an entry that says nothing of it."""
    entries = Image.Exif()
    entries.endian = ">" if big_endian else "<"
    entries[0x010F] = "maker"
    entries[ORIENTATION] = orientation
    return entries.tobytes()


def write_images(folder, sizes, names=None):
    """Write a JPEG of each (height, width); the paths as an object array."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names or [f"{index}.jpg" for index in range(len(sizes))]
    paths = np.empty(len(sizes), object)
    for index, (size, name) in enumerate(zip(sizes, names, strict=True)):
        paths[index] = folder / name
        paths[index].write_bytes(file_bytes(smooth_pixels(*size, seed=index)))
    return paths


def image_files(folder, counts=(3, 4, 2), size=(48, 64), **arguments):
    """LabelledImages of ``counts[i]`` files of class i."""
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    names = tuple(f"class {index}" for index in range(len(counts)))
    return LabelledImages(write_images(folder, [size] * len(labels), **arguments), labels, names)
