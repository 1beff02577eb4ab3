"""CUB-200-2011: 200 species of birds."""

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.archive import Archive, read
from gsp_tf.data.readers.listing import Listing, halves, labelled_paths, repeated
from gsp_tf.data.readers.lists import below, columns, find_root, lines, whole_number

TITLE = "CUB-200-2011"
TREE = """\
CUB_200_2011/
  classes.txt             class_id name
  image_class_labels.txt  image_id class_id
  images.txt              image_id path
  images/
    001.Black_footed_Albatross/*.jpg
    ...
    200.Common_Yellowthroat/*.jpg"""


def list_cub(path) -> Listing:
    """What the lists of CUB-200-2011 say; see `read_cub`."""
    root = find_root(path, ("CUB_200_2011",), ("images.txt",), TITLE)
    problems = []
    class_names = _names(root / "classes.txt", problems)
    classes = _class_ids(root / "image_class_labels.txt", len(class_names), problems)
    paths, labels = [], []
    for number, text in lines(root / "images.txt"):
        where = f"images.txt:{number}"
        image, name = (columns(text, 2) + [""])[:2]
        file = below(root / "images", name, where)
        class_id = classes.get(image)
        if class_id is None:
            problems.append(f"{where}: image {image} has no label in image_class_labels.txt")
        elif name.split("/")[0] != class_names[class_id - 1]:
            problems.append(f"{where}: {name} is labelled as {class_names[class_id - 1]}")
        else:
            paths.append(file)
            labels.append(class_id - 1)
    problems.extend(repeated(paths, root))
    return Listing(root, halves(labelled_paths(paths, labels, class_names)), problems=problems)


def _names(path, problems: list[str]) -> list[str]:
    names = []
    for number, text in lines(path):
        class_id, name = (columns(text, 2) + [""])[:2]
        if whole_number(class_id) != len(names) + 1 or not name:
            problems.append(f"classes.txt:{number}: expected class {len(names) + 1} and its name, found {text!r}")
        names.append(name)
    return names


def _class_ids(path, num_classes: int, problems: list[str]) -> dict[str, int]:
    classes = {}
    for number, text in lines(path):
        image, class_id = (columns(text, 2) + [""])[:2]
        value = whole_number(class_id)
        if value is None or not 1 <= value <= num_classes:
            problems.append(f"image_class_labels.txt:{number}: class {class_id!r} is not one of 1 to {num_classes}")
        else:
            classes[image] = value
    return classes


ARCHIVE = Archive("cub", TITLE, TREE, {"train": (5864, 100), "test": (5924, 100)}, list_cub)


def read_cub(path, allow_partial: bool = False) -> dict[str, LabelledImages]:
    """Reads CUB-200-2011: the first half of its classes to train on, the second to test on.

    Args:
        path: folder `CUB_200_2011`, or the one that holds it.
        allow_partial: accept other counts than the published ones, and leave out images whose files are missing.

    Returns:
        Dict of `LabelledImages` with paths: "train", 5,864 images of classes 0 to 99, and "test", 5,924 images of
        classes 100 to 199, in the order of images.txt.

    Raises:
        UserError: files that are missing or contradict each other, or other counts than the published ones.

    Source: C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie, "The Caltech-UCSD Birds-200-2011 Dataset",
    California Institute of Technology, CNS-TR-2011-001, 2011; split of H. Oh Song et al., CVPR 2016.
    """
    return read(ARCHIVE, path, allow_partial)
