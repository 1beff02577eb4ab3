"""DeepFashion In-shop Clothes Retrieval: items of clothing, a class each, with a query and a gallery."""

import re
from pathlib import Path

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.archive import Archive, read
from gsp_tf.data.readers.listing import Listing, labelled_paths, repeated
from gsp_tf.data.readers.lists import below, find_root, lines, whole_number

TITLE = "In-shop Clothes Retrieval"
TREE = """\
Eval/list_eval_partition.txt  image_name item_id evaluation_status
  (or list_eval_partition.txt)
Img/img/                      (or img/)
  MEN/Denim/id_00000080/*.jpg
  ...
  WOMEN/.../id_00007982/*.jpg"""
LIST = "list_eval_partition.txt"
PARTS = ("train", "query", "gallery")
_ROW = re.compile(r"(.*[^ \t])[ \t]+([^ \t]+)[ \t]+([^ \t]+)")


def list_inshop(path) -> Listing:
    """What the list of In-shop says; see `read_inshop`."""
    root = find_root(path, ("In-shop Clothes Retrieval Benchmark",), (f"Eval/{LIST}", LIST), TITLE)
    name = f"Eval/{LIST}" if (root / "Eval" / LIST).is_file() else LIST
    images = root / "Img" if (root / "Img" / "img").is_dir() else root
    problems, rows = [], []
    # The first line counts the rows, the second names the columns.
    listed = list(lines(root / name))
    count, listed = "".join(text for _, text in listed[:1]), listed[2:]
    for number, text in listed:
        rows.extend(_row(images, text, f"{LIST}:{number}", problems))
    if whole_number(count) != len(listed):
        problems.append(f"{LIST} has {len(listed)} rows, and its first line says {count!r}")
    items = {part: {item for _, item, status in rows if status == part} for part in PARTS}
    for item in sorted(items["train"] & (items["query"] | items["gallery"])):
        problems.append(f"item {item} is to be trained on and tested on")
    names = sorted(set().union(*items.values()))
    label = {item: index for index, item in enumerate(names)}
    parts = {}
    for part in PARTS:
        chosen = [(file, label[item]) for file, item, status in rows if status == part]
        parts[part] = labelled_paths([file for file, _ in chosen], [index for _, index in chosen], names)
    problems.extend(repeated([file for file, _, _ in rows], root))
    return Listing(root, parts, problems=problems)


def _row(images: Path, text: str, where: str, problems: list[str]) -> list[tuple[Path, str, str]]:
    found = _ROW.fullmatch(text)
    if not found or found[3] not in PARTS:
        problems.append(f"{where}: expected a path, an item and one of {', '.join(PARTS)}, found {text!r}")
        return []
    return [(below(images, found[1], where), found[2], found[3])]


ARCHIVE = Archive(
    "inshop", TITLE, TREE, {"train": (25882, 3997), "query": (14218, 3985), "gallery": (12612, 3985)}, list_inshop
)


def read_inshop(path, allow_partial: bool = False) -> dict[str, LabelledImages]:
    """Reads In-shop Clothes Retrieval, in the parts that its list makes.

    Args:
        path: folder with `Eval/list_eval_partition.txt` (or the list itself) and `Img/img/` (or `img/`).
        allow_partial: accept other counts than the published ones, and leave out images whose files are missing.

    Returns:
        Dict of `LabelledImages` with paths: "train", 25,882 images of 3,997 items, and "query" and "gallery", 14,218
        and 12,612 images of 3,985 others, in the order of the list. Labels number the items in the order of their
        names.

    Raises:
        UserError: files that are missing or contradict each other, or other counts than the published ones.

    Source: Z. Liu, P. Luo, S. Qiu, X. Wang, X. Tang, "DeepFashion: Powering Robust Clothes Recognition and Retrieval
    with Rich Annotations", CVPR 2016.
    """
    return read(ARCHIVE, path, allow_partial)
