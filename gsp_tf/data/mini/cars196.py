"""A small Cars196, in either of its two forms."""

from pathlib import Path

import numpy as np
from scipy.io import savemat

from gsp_tf.data.mini.pictures import write_jpeg

_NAMES = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012", "Acura TL Type-S 2008")
_BOX = tuple((f"bbox_{corner}", np.uint16(value)) for corner, value in zip(("x1", "y1", "x2", "y2"), (3, 5, 44, 43),
                                                                           strict=True))


def write_cars196(path: Path, classes: int, images_per_class: int) -> None:
    """Writes `cars_annos.mat` and `car_ims/`."""
    rows = []
    for label in range(classes):
        for index in range(images_per_class):
            name = f"car_ims/{len(rows) + 1:06d}.jpg"
            write_jpeg(path / name, label, index)
            rows.append((("relative_im_path", name), *_BOX, ("class", np.uint8(label + 1)),
                         ("test", np.uint8(index % 2))))
    savemat(path / "cars_annos.mat", {"annotations": _structs(rows), "class_names": _class_names(classes)})


def write_cars196_devkit(path: Path, classes: int, images_per_class: int) -> None:
    """Writes `devkit/`, `cars_train/` and `cars_test/`: every other image of a class is an official test image."""
    devkit = path / "devkit"
    devkit.mkdir(parents=True, exist_ok=True)
    rows = {"cars_train": [], "cars_test": []}
    for label in range(classes):
        for index in range(images_per_class):
            part = "cars_test" if index % 2 else "cars_train"
            name = f"{len(rows[part]) + 1:05d}.jpg"
            write_jpeg(path / part / name, label, index)
            rows[part].append((*_BOX, ("class", np.uint8(label + 1)), ("fname", name)))
    unlabelled = [tuple(field for field in row if field[0] != "class") for row in rows["cars_test"]]
    savemat(devkit / "cars_meta.mat", {"class_names": _class_names(classes)})
    savemat(devkit / "cars_train_annos.mat", {"annotations": _structs(rows["cars_train"])})
    savemat(devkit / "cars_test_annos.mat", {"annotations": _structs(unlabelled)})
    savemat(devkit / "cars_test_annos_withlabels.mat", {"annotations": _structs(rows["cars_test"])})


def _structs(rows) -> np.ndarray:
    """A MATLAB row of structs."""
    structs = np.empty((1, len(rows)), dtype=[(name, object) for name, _ in rows[0]])
    for index, row in enumerate(rows):
        structs[0, index] = tuple(value for _, value in row)
    return structs


def _class_names(classes: int) -> np.ndarray:
    """A MATLAB row of cells."""
    names = np.empty((1, classes), dtype=object)
    names[0] = [_NAMES[label] if label < len(_NAMES) else f"Made up Car {label + 1}" for label in range(classes)]
    return names
