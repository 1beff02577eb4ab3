"""A small Stanford Online Products."""

from pathlib import Path

from gsp_tf.data.mini.pictures import write_jpeg, write_lines

_SUPER_CLASSES = ("bicycle", "cabinet", "chair")


def write_sop(path: Path, classes: int, images_per_class: int) -> None:
    """Writes `Stanford_Online_Products/` as its archive has it, the first half of the classes to train on."""
    root = path / "Stanford_Online_Products"
    header = "image_id class_id super_class_id path"
    rows = {"train": [], "test": []}
    for label in range(classes):
        part, super_class = ("train" if label < classes // 2 else "test"), label % len(_SUPER_CLASSES)
        for index in range(images_per_class):
            file = f"{_SUPER_CLASSES[super_class]}_final/{111085122871 + label}_{index}.JPG"
            write_jpeg(root / file, label, index)
            number = label * images_per_class + index + 1
            rows[part].append(f"{number} {label + 1} {super_class + 1} {file}")
    write_lines(root / "Ebay_train.txt", [header, *rows["train"]])
    write_lines(root / "Ebay_test.txt", [header, *rows["test"]])
    write_lines(root / "Ebay_info.txt", [header, *rows["train"], *rows["test"]])
