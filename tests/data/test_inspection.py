import pytest

from gsp_tf.data.inspection import found_tree, inspect
from gsp_tf.data.readers import READERS
from gsp_tf.data.splits import split_hash
from tests.data.readers.copies import replace, written


@pytest.mark.parametrize("name", READERS)
def test_nothing_is_wrong_with_a_small_data_set_but_its_counts(tmp_path, name):
    root = written(name, tmp_path)
    found = inspect(name, root, decode_images=True)
    parts = READERS[name](root, allow_partial=True)
    assert (found.missing, found.unreadable, found.problems) == ([], [], [])
    assert len(found.differences) == (0 if name == "folder" else len(parts))
    assert found.digest == split_hash(parts)


def test_everything_that_is_wrong_is_found_at_once(tmp_path):
    root = written("cub", tmp_path) / "CUB_200_2011"
    images = sorted((root / "images").rglob("*.jpg"))
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes()[:-300])
    images[2].write_bytes(b"")
    images[3].write_text("no image")
    replace(root / "images.txt", "8 004.", "88 004.")
    found = inspect("cub", root, decode_images=True)
    assert found.missing == ["images/001.Black_footed_Albatross/Black_footed_Albatross_0001_1.jpg"]
    assert [line.split(":")[0] for line in found.unreadable] == [path.relative_to(root).as_posix() for path in images[1:4]]
    assert "it is empty" in found.unreadable[1] and all(len(line.split(": ", 1)[1]) > 5 for line in found.unreadable)
    assert found.problems == ["images.txt:8: image 88 has no label in image_class_labels.txt"]
    assert found.differences[0] == "train has 3 images of 2 classes, as published 5,864 of 100"
    assert inspect("cub", root).unreadable == []


def test_lists_that_cannot_be_read_are_a_problem(tmp_path):
    found = inspect("sop", tmp_path)
    assert len(found.problems) == 1 and "does not hold Stanford Online Products" in found.problems[0]
    assert found.parts == {} and found.digest is None


def test_the_tree_shows_the_first_of_many(tmp_path):
    for number in range(20):
        (tmp_path / "many" / "deeper" / f"{number:02d}").mkdir(parents=True)
        (tmp_path / "few").mkdir(exist_ok=True)
        (tmp_path / "few" / f"{number % 4}.txt").write_bytes(b"")
    assert found_tree(tmp_path) == [
        "few/", "  0.txt", "  1.txt", "  2.txt", "  3.txt",
        "many/", "  deeper/", "    00/ (holds 0)", "    01/ (holds 0)", "    02/ (holds 0)", "    ... 17 more",
    ]
