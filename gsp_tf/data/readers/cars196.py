"""Cars196, also called Stanford Cars: 196 makes, models and years of cars."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.archive import Archive, read
from gsp_tf.data.readers.listing import Listing, halves, labelled_paths, repeated
from gsp_tf.data.readers.lists import below, find_root
from gsp_tf.errors import UserError

TITLE = "Cars196"
TREE = """\
cars_annos.mat
car_ims/000001.jpg ... 016185.jpg
  or
devkit/
  cars_meta.mat
  cars_train_annos.mat
  cars_test_annos_withlabels.mat  (or beside devkit/)
cars_train/00001.jpg ... 08144.jpg
cars_test/00001.jpg ... 08041.jpg"""

# The labels of the test images came later than the devkit, as a file of their own, so copies have them in either
# place; a browser that already had one saved "(1)", which went into widely used copies.
_LABELLED = ("cars_test_annos_withlabels.mat", "cars_test_annos_withlabels (1).mat")
_TEST_LABELS = tuple(folder + name for name in _LABELLED for folder in ("devkit/", "", "car_devkit/devkit/"))
_META = ("devkit/cars_meta.mat", "car_devkit/devkit/cars_meta.mat")
_FOLDERS = ("cars196", "stanford_cars")


def list_cars196(path) -> Listing:
    """What the annotations of Cars196 say; see `read_cars196`."""
    root = find_root(path, _FOLDERS, ("cars_annos.mat", *_META), TITLE)
    annotations = root / "cars_annos.mat"
    if annotations.is_file():
        return _listing(root, [(annotations, root, "relative_im_path")], _class_names(annotations))
    meta = _first(root, _META)
    files = [
        (meta.with_name("cars_train_annos.mat"), _images(root, "cars_train"), "fname"),
        (_test_labels(root), _images(root, "cars_test"), "fname"),
    ]
    return _listing(root, files, _class_names(meta))


def _listing(root: Path, files, class_names: list[str]) -> Listing:
    problems, paths, labels = [], [], []
    for file, folder, field in files:
        annotations = np.atleast_1d(_variable(file, "annotations"))
        if not {field, "class"} <= set(annotations.dtype.names or ()):
            raise UserError(f"{file}: its annotations lack {field} or class; take the file of the original archive")
        for number, (name, class_id) in enumerate(zip(annotations[field], annotations["class"], strict=True), start=1):
            image = below(folder, str(name), f"{file.name}, annotation {number}")
            class_id = np.asarray(class_id)
            if class_id.shape != () or class_id.dtype.kind not in "iu" or not 1 <= class_id <= len(class_names):
                problems.append(f"{file.name}, annotation {number}: class {class_id.tolist()} is not one of 1 to "
                                f"{len(class_names)}")
            else:
                paths.append(image)
                labels.append(int(class_id) - 1)
    problems.extend(repeated(paths, root))
    return Listing(root, halves(labelled_paths(paths, labels, class_names)), problems=problems)


def _class_names(file: Path) -> list[str]:
    return [str(name) for name in np.atleast_1d(_variable(file, "class_names"))]


def _variable(file: Path, name: str) -> np.ndarray:
    if not file.is_file():
        raise UserError(f"{file} is missing; extract the archive again")
    try:
        variables = loadmat(file, squeeze_me=True, variable_names=[name])
    # A damaged file makes scipy raise whatever it stumbles over.
    except Exception as error:
        raise UserError(f"{file} cannot be read as a MATLAB file ({error}): download it again") from None
    if name not in variables:
        raise UserError(f"{file} holds no variable {name}; take the file of the original archive")
    return variables[name]


def _first(root: Path, names) -> Path | None:
    return next((root / name for name in names if (root / name).exists()), None)


def _images(root: Path, name: str) -> Path:
    return _first(root, (f"{name}/{name}",)) or root / name


def _test_labels(root: Path) -> Path:
    found = _first(root, _TEST_LABELS)
    if found is None:
        raise UserError(
            f"{root}: {_LABELLED[0]} is missing, and cars_test_annos.mat of the devkit has no labels; put it into "
            "devkit/"
        )
    return found


ARCHIVE = Archive("cars196", TITLE, TREE, {"train": (8054, 98), "test": (8131, 98)}, list_cars196)


def read_cars196(path, allow_partial: bool = False) -> dict[str, LabelledImages]:
    """Reads Cars196, in either of its two forms: the first half of its classes to train on, the second to test on.

    The official train and test images of the second form are put together: the classes, not they, make the parts.

    Args:
        path: folder with `cars_annos.mat` and `car_ims/`, or with `devkit/`, `cars_train/` and `cars_test/`.
        allow_partial: accept other counts than the published ones, and leave out images whose files are missing.

    Returns:
        Dict of `LabelledImages` with paths: "train", 8,054 images of classes 0 to 97, and "test", 8,131 images of
        classes 98 to 195, in the order of the annotations.

    Raises:
        UserError: files that are missing or contradict each other, or other counts than the published ones.

    Source: J. Krause, M. Stark, J. Deng, L. Fei-Fei, "3D Object Representations for Fine-Grained Categorization",
    3dRR workshop at ICCV 2013; split of H. Oh Song et al., CVPR 2016.
    """
    return read(ARCHIVE, path, allow_partial)
