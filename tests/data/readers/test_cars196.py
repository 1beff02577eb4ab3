import shutil

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from gsp_tf.data.readers import read_cars196
from gsp_tf.errors import UserError
from tests.data.readers.copies import relative, written


def test_the_form_with_one_folder(tmp_path):
    parts = read_cars196(written("cars196", tmp_path), allow_partial=True)
    assert list(parts) == ["train", "test"]
    assert parts["train"].labels.tolist() == [0, 0, 1, 1] and parts["test"].labels.tolist() == [2, 2, 3, 3]
    assert relative(parts["test"], tmp_path) == [f"car_ims/00000{number}.jpg" for number in (5, 6, 7, 8)]
    assert parts["train"].class_names[1] == "Acura RL Sedan 2012" and len(parts["train"].class_names) == 4


def test_the_form_with_official_parts_puts_them_together(tmp_path):
    parts = read_cars196(written("cars196_devkit", tmp_path), allow_partial=True)
    assert relative(parts["train"], tmp_path) == [
        "cars_train/00001.jpg", "cars_train/00002.jpg", "cars_test/00001.jpg", "cars_test/00002.jpg"]
    assert parts["train"].labels.tolist() == [0, 1, 0, 1] and parts["test"].labels.tolist() == [2, 3, 2, 3]
    assert parts["train"].class_names[1] == "Acura RL Sedan 2012"


@pytest.mark.parametrize("place", ["cars_test_annos_withlabels.mat", "cars_test_annos_withlabels (1).mat",
                                   "devkit/cars_test_annos_withlabels (1).mat"])
def test_the_labels_of_the_test_images_are_found_wherever_copies_have_them(tmp_path, place):
    root = written("cars196_devkit", tmp_path)
    whole = read_cars196(root, allow_partial=True)
    (root / "devkit" / "cars_test_annos_withlabels.mat").rename(root / place)
    moved = read_cars196(root, allow_partial=True)
    assert all(list(moved[part].images) == list(whole[part].images) for part in whole)


def test_folders_that_unpacked_into_themselves(tmp_path):
    root = written("cars196_devkit", tmp_path / "a" / "stanford_cars")
    for name in ("cars_train", "cars_test"):
        (root / name).rename(root / "moved")
        (root / name).mkdir()
        (root / "moved").rename(root / name / name)
    (root / "car_devkit").mkdir()
    (root / "devkit").rename(root / "car_devkit" / "devkit")
    parts = read_cars196(tmp_path / "a", allow_partial=True)
    assert relative(parts["train"], root)[2] == "cars_test/cars_test/00001.jpg"


def test_a_single_class_and_image_of_matlab_are_read(tmp_path):
    root = written("cars196", tmp_path, classes=2)
    annotations = loadmat(root / "cars_annos.mat")["annotations"][:, :1]
    names = np.empty((1, 1), object)
    names[0, 0] = "One 2012"
    savemat(root / "cars_annos.mat", {"annotations": annotations, "class_names": names})
    with pytest.raises(UserError, match="part train of Cars196 has no image"):
        read_cars196(root, allow_partial=True)


@pytest.mark.parametrize("changed, message", [
    ({"class": 9}, "annotation 1: class 9 is not one of 1 to 4"),
    ({"class": 0}, "annotation 1: class 0 is not one of 1 to 4"),
    ({"class": "two"}, "annotation 1: class two is not one of 1 to 4"),
    ({"relative_im_path": "car_ims/000002.jpg"}, "car_ims/000002.jpg is listed twice"),
    ({"relative_im_path": "../000002.jpg"}, "cars_annos.mat, annotation 1: '../000002.jpg' is not a path below"),
    ({"relative_im_path": "/etc/passwd"}, "'/etc/passwd' is not a path below"),
])
def test_wrong_annotations_are_an_error(tmp_path, changed, message):
    root = written("cars196", tmp_path)
    variables = {name: value for name, value in loadmat(root / "cars_annos.mat").items() if name[0] != "_"}
    for field, value in changed.items():
        variables["annotations"][field][0, 0] = value
    savemat(root / "cars_annos.mat", variables)
    with pytest.raises(UserError, match=message):
        read_cars196(root, allow_partial=True)


def test_damaged_files_are_an_error(tmp_path):
    root = written("cars196", tmp_path)
    whole = (root / "cars_annos.mat").read_bytes()
    for data in (b"", b"text", whole[:-200], whole[:300] + b"\xff" * 40 + whole[340:]):
        (root / "cars_annos.mat").write_bytes(data)
        with pytest.raises(UserError, match="cars_annos.mat"):
            read_cars196(root, allow_partial=True)
    savemat(root / "cars_annos.mat", {"class_names": np.zeros(3), "annotations": np.zeros(3)})
    with pytest.raises(UserError, match="its annotations lack relative_im_path or class"):
        read_cars196(root, allow_partial=True)
    savemat(root / "cars_annos.mat", {"annotations": np.zeros(3)})
    with pytest.raises(UserError, match="holds no variable class_names"):
        read_cars196(root, allow_partial=True)


def test_what_is_missing_is_named(tmp_path):
    root = written("cars196_devkit", tmp_path)
    (root / "devkit" / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(UserError, match="cars_test_annos_withlabels.mat is missing, and cars_test_annos.mat of the"):
        read_cars196(root, allow_partial=True)
    (root / "devkit" / "cars_train_annos.mat").unlink()
    shutil.copy(root / "devkit" / "cars_meta.mat", root / "cars_test_annos_withlabels.mat")
    with pytest.raises(UserError, match="cars_train_annos.mat is missing"):
        read_cars196(root, allow_partial=True)
    with pytest.raises(UserError, match="does not hold Cars196: there is no cars_annos.mat or devkit/cars_meta.mat"):
        read_cars196(root / "devkit")
