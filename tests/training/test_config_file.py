import pytest

from gsp_tf.errors import UserError
from gsp_tf.training.config_file import merge, override, read_config, read_mapping


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.0e-3", "+1e-3", ".1e-2", "0.001"])
def test_numbers_with_an_exponent_are_numbers(tmp_path, text):
    write(tmp_path, a=f"rate: {text}")
    assert read_mapping(tmp_path / "a.yaml") == {"rate": pytest.approx(1e-3)}
    assert override({}, f"rate={text}") == {"rate": pytest.approx(1e-3)}


def test_a_word_like_a_number_stays_a_word(tmp_path):
    write(tmp_path, a="name: 1e\nother: e3\nversion: 1.2.3")
    assert read_mapping(tmp_path / "a.yaml") == {"name": "1e", "other": "e3", "version": "1.2.3"}


@pytest.mark.parametrize(
    "text, problem",
    [
        ("training: {steps: 1, steps: 2}", "the key 'steps' stands twice"),
        ("a: [1", "is not valid YAML"),
        ("a: b: c", "is not valid YAML"),
        ("- a\n- b", "must be a mapping of keys to values; got list"),
        ("", "must be a mapping of keys to values; got NoneType"),
        ("!!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_bad_yaml_names_the_file_in_one_line(tmp_path, text, problem):
    write(tmp_path, bad=text)
    with pytest.raises(UserError, match=problem) as caught:
        read_config(tmp_path / "bad.yaml")
    assert "bad.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="a.yaml cannot be read"):
        read_config(tmp_path / "a.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read_config(tmp_path)


def test_a_missing_file_names_the_nearest(tmp_path):
    write(tmp_path, default="a: 1", table="a: 2")
    with pytest.raises(UserError, match=r"defalt.yaml does not exist; nearest: .*/default.yaml"):
        read_config(tmp_path / "defalt.yaml")
    with pytest.raises(UserError, match="does not exist$"):
        read_config(tmp_path / "nowhere" / "x.yaml")


def test_bases_are_relative_to_the_file_and_lie_below_it(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path, grandparent="a: {x: 1, y: 1, z: 1}\nname: old", parent="base: grandparent.yaml\na: {y: 2, z: 2}")
    (tmp_path / "sub" / "child.yaml").write_text("base: ../parent.yaml\nname: new\na: {z: 3}", encoding="utf-8")
    assert read_config(tmp_path / "sub" / "child.yaml") == {"name": "new", "a": {"x": 1, "y": 2, "z": 3}}


def test_a_missing_base_is_said_to_be_one(tmp_path):
    write(tmp_path, child="base: parnt.yaml", parent="a: 1")
    with pytest.raises(UserError, match="parnt.yaml, the base of .*child.yaml, does not exist; nearest: .*parent.yaml"):
        read_config(tmp_path / "child.yaml")


def test_a_circle_of_bases_ends(tmp_path):
    for folder, other in (("x", "y"), ("y", "x")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(f"base: ../{other}/a.yaml", encoding="utf-8")
    write(tmp_path, itself="base: itself.yaml")
    for start in ("x/a.yaml", "itself.yaml"):
        with pytest.raises(UserError, match="base goes in a circle: .* -> "):
            read_config(tmp_path / start)


def test_another_name_begins_anew():
    base = {"name": "job", "optimizer": {"name": "Adam", "beta_1": 0.8}, "size": {"a": 1, "b": 2}}
    assert merge(base, {"name": "other", "size": {"b": 3}}) == {
        "name": "other", "optimizer": {"name": "Adam", "beta_1": 0.8}, "size": {"a": 1, "b": 3},
    }
    assert merge(base, {"optimizer": {"name": "SGD", "momentum": 0.9}})["optimizer"] == {"name": "SGD", "momentum": 0.9}
    same = merge(base, {"optimizer": {"name": "Adam", "learning_rate": 1}})["optimizer"]
    assert same == {"name": "Adam", "beta_1": 0.8, "learning_rate": 1}
    assert merge(base, {"optimizer": None})["optimizer"] is None
    assert merge({"optimizer": None}, {"optimizer": {"name": "SGD"}})["optimizer"] == {"name": "SGD"}


def test_overrides_set_nested_new_and_empty_keys():
    values = {"training": {"steps": 1, "patience": 2}, "regularizer": None}
    assert override(values, "training.steps=3") == {**values, "training": {"steps": 3, "patience": 2}}
    assert override(values, "regularizer.name=X")["regularizer"] == {"name": "X"}
    assert override(values, "a.b.c=[1, x]")["a"] == {"b": {"c": [1, "x"]}}
    assert override(values, "training={steps: 9}")["training"] == {"steps": 9}
    assert override(values, "training.patience=null")["training"]["patience"] is None
    assert override(values, "note=a=b")["note"] == "a=b"
    assert values == {"training": {"steps": 1, "patience": 2}, "regularizer": None}


def test_overrides_of_one_of_two_aliases_leave_the_other(tmp_path):
    write(tmp_path, a="methods: {A: &same {x: 1}, B: *same}")
    changed = override(read_config(tmp_path / "a.yaml"), "methods.A.x=2")
    assert changed == {"methods": {"A": {"x": 2}, "B": {"x": 1}}}


@pytest.mark.parametrize("text", ["training.steps", "=3", "training..steps=3", "training.=3", ".steps=3", ""])
def test_a_malformed_override_says_how_to_write_one(text):
    with pytest.raises(UserError, match="--override takes key=value, for example training.steps=300; got "):
        override({}, text)


def test_an_override_that_is_no_yaml_or_goes_through_a_value():
    with pytest.raises(UserError, match=r"--override a: '\[1' is not a YAML value; quote it"):
        override({}, "a=[1")
    with pytest.raises(UserError, match="--override training.steps.x: steps holds the value 3 and has no keys"):
        override({"training": {"steps": 3}}, "training.steps.x=1")
