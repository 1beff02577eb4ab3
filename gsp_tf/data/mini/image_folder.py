"""A small folder with a sub-folder per class."""

from pathlib import Path

from gsp_tf.data.mini.pictures import write_jpeg


def write_folder(path: Path, classes: int, images_per_class: int) -> None:
    """Writes a sub-folder of JPEG files per class."""
    for label in range(classes):
        for index in range(images_per_class):
            write_jpeg(path / f"class {label + 1:03d}" / f"image {index + 1:03d}.jpg", label, index)
