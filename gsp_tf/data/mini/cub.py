"""A small CUB-200-2011."""

from pathlib import Path

from gsp_tf.data.mini.pictures import write_jpeg, write_lines

_NAMES = ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross", "Groove_billed_Ani")


def write_cub(path: Path, classes: int, images_per_class: int) -> None:
    """Writes `CUB_200_2011/` as its archive has it."""
    root = path / "CUB_200_2011"
    names = [f"{label + 1:03d}.{_NAMES[label] if label < len(_NAMES) else f'Made_up_Bird_{label + 1}'}"
             for label in range(classes)]
    images, labels = [], []
    for label, name in enumerate(names):
        for index in range(images_per_class):
            file = f"{name}/{name[4:]}_{index + 1:04d}_{len(images) + 1}.jpg"
            write_jpeg(root / "images" / file, label, index)
            images.append(f"{len(images) + 1} {file}")
            labels.append(f"{len(images)} {label + 1}")
    write_lines(root / "classes.txt", (f"{label + 1} {name}" for label, name in enumerate(names)))
    write_lines(root / "image_class_labels.txt", labels)
    write_lines(root / "images.txt", images)
