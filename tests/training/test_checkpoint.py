import json

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.errors import UserError
from gsp_tf.training.checkpoint import load_checkpoint, read_json, replaced, save_checkpoint, write_json, write_text


def variables(*shapes):
    return [tf.Variable(tf.zeros(shape)) for shape in shapes]


@pytest.fixture
def saved(tmp_path):
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(7)]
    save_checkpoint(tmp_path / "c.npz", {"a": arrays, "b": [tf.Variable([1, 2])]}, {"history": [{"x": 0.1}]})
    return tmp_path / "c.npz"


def test_a_checkpoint_comes_back_bit_by_bit(saved):
    first, second = variables((2, 3), ()), [tf.Variable([0, 0])]
    assert load_checkpoint(saved, {"a": first, "b": second}) == {"history": [{"x": 0.1}]}
    assert first[0].numpy().tolist() == [[0, 1, 2], [3, 4, 5]] and float(first[1]) == 7
    assert second[0].numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    "groups, message",
    [
        ({"a": variables((2, 3))}, r"at a/1 it holds \(\), the config's model nothing"),
        ({"a": variables((2, 3), (), ())}, r"at a/2 it holds nothing, the config's model \(\)"),
        ({"a": variables((3, 2), ())}, r"at a/0 it holds \(2, 3\), the config's model \(3, 2\)"),
    ],
)
def test_a_checkpoint_of_another_model_changes_nothing(saved, groups, message):
    with pytest.raises(UserError, match=f"checkpoint .*c.npz is of another model: {message}"):
        load_checkpoint(saved, {**groups, "b": [tf.Variable([0, 0])]})
    assert all(np.all(variable.numpy() == 0) for variable in groups["a"])


@pytest.mark.parametrize("damage", ["truncated", "half", "empty", "text", "flipped", "no state"])
def test_a_damaged_checkpoint_is_a_user_error(saved, damage):
    content = saved.read_bytes()
    middle = content.index(np.float32(4).tobytes())
    saved.write_bytes({
        "truncated": content[:-30],
        "half": content[: len(content) // 2],
        "empty": b"",
        "text": b"hello",
        "flipped": content[:middle] + b"\xff" + content[middle + 1:],
        "no state": content,
    }[damage])
    if damage == "no state":
        with open(saved, "wb") as file:
            np.savez(file, **{"a/0": np.zeros(3)})
    with pytest.raises(UserError, match=r"c.npz cannot be read \(.*\): delete it to train this run anew"):
        load_checkpoint(saved, {"a": variables((2, 3), ()), "b": [tf.Variable([0, 0])]})


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replaced(path) as partial:
        partial.write_text("half of the ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    write_text(path, "new")
    assert path.read_text() == "new"


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"µ": 0.1})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == read_json(tmp_path / "a.json") == {"µ": 0.1}
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"µ": 0.1}


@pytest.mark.parametrize("text", ["{", "", "[1]"])
def test_json_that_cannot_be_read_is_a_user_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="a.json cannot be read"):
        read_json(tmp_path / "a.json")
