import pytest

from gsp_tf.data.readers import read_sop
from gsp_tf.errors import UserError
from tests.data.readers.copies import relative, replace, written


def test_the_lists_make_the_parts(tmp_path):
    root = written("sop", tmp_path, classes=5)
    parts = read_sop(root, allow_partial=True)
    assert parts["train"].labels.tolist() == [0, 0, 1, 1] and parts["test"].labels.tolist() == [2, 2, 3, 3, 4, 4]
    assert parts["train"].class_names == parts["test"].class_names == ("1", "2", "3", "4", "5")
    assert relative(parts["train"], root / "Stanford_Online_Products") == [
        "bicycle_final/111085122871_0.JPG", "bicycle_final/111085122871_1.JPG", "cabinet_final/111085122872_0.JPG",
        "cabinet_final/111085122872_1.JPG"]


def test_labels_number_the_classes_that_are_listed(tmp_path):
    root = written("sop", tmp_path) / "Stanford_Online_Products"
    for name in ("Ebay_train.txt", "Ebay_test.txt"):
        rows = (root / name).read_text().splitlines()
        (root / name).write_text("\n".join(row for row in rows if row.split()[1] not in ("1", "3")))
    parts = read_sop(root, allow_partial=True)
    assert parts["train"].labels.tolist() == [0, 0] and parts["test"].labels.tolist() == [1, 1]
    assert parts["train"].class_names == ("2", "4")


@pytest.mark.parametrize("file, old, new, message", [
    ("Ebay_test.txt", "5 3 3 ", "5 2 2 ", "class 2 is in both lists"),
    ("Ebay_test.txt", "5 3 3 ", "5 three 3 ", "Ebay_test.txt:2: class 'three' is not a whole number"),
    ("Ebay_test.txt", "chair_final/111085122873_1.JPG", "", "Ebay_test.txt:3: '' is not a path below"),
    ("Ebay_test.txt", "chair_final/111085122873_1.JPG", "chair_final/111085122873_0.JPG", "_0.JPG is listed twice"),
])
def test_lists_that_contradict_each_other_are_an_error(tmp_path, file, old, new, message):
    root = written("sop", tmp_path) / "Stanford_Online_Products"
    replace(root / file, old, new)
    with pytest.raises(UserError, match=message):
        read_sop(root, allow_partial=True)
