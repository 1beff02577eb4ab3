import numpy as np
import pytest

from gsp_tf.data.readers import read_cub
from gsp_tf.errors import UserError
from tests.data.readers.copies import relative, replace, written


def test_the_first_half_of_the_classes_trains_and_the_second_tests(tmp_path):
    root = written("cub", tmp_path)
    parts = read_cub(root, allow_partial=True)
    assert list(parts) == ["train", "test"]
    assert parts["train"].labels.tolist() == [0, 0, 1, 1] and parts["test"].labels.tolist() == [2, 2, 3, 3]
    assert parts["train"].labels.dtype == np.int32
    assert parts["train"].class_names == parts["test"].class_names
    assert parts["test"].class_names[2] == "003.Sooty_Albatross"
    assert relative(parts["train"], root / "CUB_200_2011" / "images") == [
        "001.Black_footed_Albatross/Black_footed_Albatross_0001_1.jpg",
        "001.Black_footed_Albatross/Black_footed_Albatross_0002_2.jpg",
        "002.Laysan_Albatross/Laysan_Albatross_0001_3.jpg",
        "002.Laysan_Albatross/Laysan_Albatross_0002_4.jpg",
    ]


def test_the_labels_come_from_their_list_and_the_order_from_the_images(tmp_path):
    root = written("cub", tmp_path) / "CUB_200_2011"
    for name in ("images.txt", "image_class_labels.txt"):
        rows = (root / name).read_text().splitlines()
        reverse = name == "images.txt"
        (root / name).write_text("\n".join(rows[::-1] if reverse else rows[3:] + rows[:3]))
    parts = read_cub(root, allow_partial=True)
    assert parts["train"].labels.tolist() == [1, 1, 0, 0]
    assert [path.parent.name for path in parts["train"].images] == [parts["train"].class_names[i] for i in (1, 1, 0, 0)]


@pytest.mark.parametrize("file, old, new, message", [
    ("images.txt", "3 002.", "33 002.", "images.txt:3: image 33 has no label in image_class_labels.txt"),
    ("image_class_labels.txt", "4 2\n", "4 9\n", "image_class_labels.txt:4: class '9' is not one of 1 to 4"),
    ("image_class_labels.txt", "4 2\n", "4 3\n", "images.txt:4: 002.Laysan_Albatross/Laysan_Albatross_0002_4.jpg is "
                                                 "labelled as 003.Sooty_Albatross"),
    ("classes.txt", "2 002", "3 002", "classes.txt:2: expected class 2 and its name, found '3 002.Laysan"),
    ("images.txt", "_0002_4.jpg", "_0001_3.jpg", "Laysan_Albatross_0001_3.jpg is listed twice"),
])
def test_lists_that_contradict_each_other_are_an_error(tmp_path, file, old, new, message):
    root = written("cub", tmp_path) / "CUB_200_2011"
    replace(root / file, old, new)
    with pytest.raises(UserError) as caught:
        read_cub(root, allow_partial=True)
    assert message in str(caught.value) and f"gsp-data check cub '{root}'" in str(caught.value)


def test_another_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="does not hold CUB-200-2011: there is no images.txt in it, nor in CUB_200_2011"):
        read_cub(tmp_path)
    with pytest.raises(UserError, match="nothing is not a folder"):
        read_cub(tmp_path / "nothing")
