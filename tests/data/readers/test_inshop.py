import pytest

from gsp_tf.data.readers import read_inshop
from gsp_tf.errors import UserError
from tests.data.readers.copies import relative, replace, written

LIST = "list_eval_partition.txt"


def test_the_list_makes_training_query_and_gallery(tmp_path):
    root = written("inshop", tmp_path, images_per_class=3)
    parts = read_inshop(root, allow_partial=True)
    assert {part: images.labels.tolist() for part, images in parts.items()} == {
        "train": [0, 0, 0, 1, 1, 1], "query": [2, 2, 3, 3], "gallery": [2, 3]}
    assert len({images.class_names for images in parts.values()}) == 1
    assert parts["query"].class_names == tuple(f"id_0000000{number}" for number in (1, 2, 3, 4))
    assert relative(parts["gallery"], root / "Img" / "img") == [
        "WOMEN/Blouses_Shirts/id_00000003/01_2_side.jpg", "WOMEN/Dresses/id_00000004/01_2_side.jpg"]


def test_the_list_and_the_images_may_lie_at_the_top(tmp_path):
    root = written("inshop", tmp_path / "In-shop Clothes Retrieval Benchmark")
    whole = read_inshop(tmp_path, allow_partial=True)
    (root / "Eval" / LIST).rename(root / LIST)
    (root / "Img" / "img").rename(root / "img")
    moved = read_inshop(root, allow_partial=True)
    assert relative(moved["query"], root) == relative(whole["query"], root / "Img")


@pytest.mark.parametrize("old, new, message", [
    ("01_1_front.jpg         id_00000002 train", "01_1_front.jpg         id_00000003 train",
     "item id_00000003 is to be trained on and tested on"),
    ("id_00000003 gallery", "id_00000003 galery", "txt:8: expected a path, an item and one of train, query, gallery"),
    ("id_00000003 gallery", "", "txt:8: expected a path, an item and one of"),
    ("8\nimage_name", "9\nimage_name", "list_eval_partition.txt has 8 rows, and its first line says '9'"),
    ("8\nimage_name item_id evaluation_status\n", "", "has 6 rows, and its first line says 'img/"),
])
def test_a_list_that_contradicts_itself_is_an_error(tmp_path, old, new, message):
    root = written("inshop", tmp_path)
    text = (root / "Eval" / LIST).read_text()
    if old not in text:
        old = next(line for line in text.splitlines() if "id_00000002 train" in line and "01_1_front" in line)
        new = old.replace("id_00000002 train", "id_00000003 train")
    replace(root / "Eval" / LIST, old, new)
    with pytest.raises(UserError, match=message):
        read_inshop(root, allow_partial=True)


def test_an_empty_list_is_an_error(tmp_path):
    root = written("inshop", tmp_path)
    (root / "Eval" / LIST).write_text("")
    with pytest.raises(UserError, match="has 0 rows, and its first line says ''"):
        read_inshop(root, allow_partial=True)
