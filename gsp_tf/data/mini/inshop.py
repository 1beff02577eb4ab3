"""A small In-shop Clothes Retrieval."""

from pathlib import Path

from gsp_tf.data.mini.pictures import write_jpeg, write_lines

_FOLDERS = ("WOMEN/Dresses", "MEN/Denim", "WOMEN/Blouses_Shirts")
_VIEWS = ("1_front", "2_side", "3_back", "4_full", "7_additional")


def write_inshop(path: Path, classes: int, images_per_class: int) -> None:
    """Writes `Eval/` and `Img/`: the first half of the items to train on, the others half query, half gallery."""
    rows = []
    for label in range(classes):
        item = f"id_{label + 1:08d}"
        for index in range(images_per_class):
            view = _VIEWS[index % len(_VIEWS)]
            name = f"img/{_FOLDERS[label % len(_FOLDERS)]}/{item}/{index // len(_VIEWS) + 1:02d}_{view}.jpg"
            write_jpeg(path / "Img" / name, label, index)
            status = "train" if label < classes // 2 else ("query", "gallery")[index % 2]
            rows.append(f"{name:<70} {item} {status}")
    header = "image_name item_id evaluation_status"
    write_lines(path / "Eval" / "list_eval_partition.txt", [len(rows), header, *rows])
