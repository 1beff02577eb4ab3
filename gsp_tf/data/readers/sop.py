"""Stanford Online Products: products of an online shop, a class each."""

from pathlib import Path

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.archive import Archive, read
from gsp_tf.data.readers.listing import Listing, labelled_paths, repeated
from gsp_tf.data.readers.lists import below, columns, find_root, lines, whole_number

TITLE = "Stanford Online Products"
TREE = """\
Stanford_Online_Products/
  Ebay_train.txt  image_id class_id super_class_id path
  Ebay_test.txt   the same columns
  bicycle_final/*.JPG
  ...
  toaster_final/*.JPG"""
LISTS = {"train": "Ebay_train.txt", "test": "Ebay_test.txt"}


def list_sop(path) -> Listing:
    """What the lists of Stanford Online Products say; see `read_sop`."""
    root = find_root(path, ("Stanford_Online_Products",), (LISTS["train"],), TITLE)
    problems = []
    rows = {part: _rows(root, name, problems) for part, name in LISTS.items()}
    ids = {part: {class_id for class_id, _ in found} for part, found in rows.items()}
    for class_id in sorted(ids["train"] & ids["test"]):
        problems.append(f"class {class_id} is in both lists")
    # Whole, the data set has the classes 1 to 22,634, so that a label is the class less one.
    label = {class_id: index for index, class_id in enumerate(sorted(ids["train"] | ids["test"]))}
    names = [str(class_id) for class_id in label]
    parts = {part: labelled_paths([file for _, file in found], [label[class_id] for class_id, _ in found], names)
             for part, found in rows.items()}
    problems.extend(repeated([file for found in rows.values() for _, file in found], root))
    return Listing(root, parts, problems=problems)


def _rows(root: Path, name: str, problems: list[str]) -> list[tuple[int, Path]]:
    rows = []
    for number, text in lines(root / name):
        _, class_id, _, image = (columns(text, 4) + [""] * 3)[:4]
        if class_id == "class_id":
            continue
        file = below(root, image, f"{name}:{number}")
        if whole_number(class_id) is None:
            problems.append(f"{name}:{number}: class {class_id!r} is not a whole number")
        else:
            rows.append((whole_number(class_id), file))
    return rows


ARCHIVE = Archive("sop", TITLE, TREE, {"train": (59551, 11318), "test": (60502, 11316)}, list_sop)


def read_sop(path, allow_partial: bool = False) -> dict[str, LabelledImages]:
    """Reads Stanford Online Products, in the parts that its lists make.

    Args:
        path: folder `Stanford_Online_Products`, or the one that holds it.
        allow_partial: accept other counts than the published ones, and leave out images whose files are missing.

    Returns:
        Dict of `LabelledImages` with paths: "train", 59,551 images of 11,318 classes, and "test", 60,502 images of
        11,316 others, in the order of the lists.

    Raises:
        UserError: files that are missing or contradict each other, or other counts than the published ones.

    Source: H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese, "Deep Metric Learning via Lifted Structured Feature
    Embedding", CVPR 2016.
    """
    return read(ARCHIVE, path, allow_partial)
