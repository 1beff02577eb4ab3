import io
import re

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.commands.data import main
from gsp_tf.data.readers import ARCHIVES, READERS
from gsp_tf.data.splits import split_hash
from tests.data.readers.copies import written


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_a_partial_data_set_is_wrong_unless_it_is_allowed(tmp_path, capsys):
    root = written("cub", tmp_path / "two  words Ä")
    assert run("check", "cub", root) == 1
    printed = capsys.readouterr().out
    assert "cub: wrong: other counts\n" in printed
    assert re.search(r"images\.txt +image_id path +\| +images/\n", printed)
    assert "train      4 images of 2 classes (published: 5,864 of 100)" in printed
    assert "unreadable files: not looked for; --decode does" in printed
    assert f"split hash: {split_hash(READERS['cub'](root, allow_partial=True))}\n" in printed
    assert run("check", "cub", root, "--allow-partial", "--decode") == 0
    printed = capsys.readouterr().out
    assert "cub: partial, as allowed\n" in printed and "unreadable files: none" in printed


def test_a_whole_data_set_is_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(ARCHIVES, "cub", ARCHIVES["cub"]._replace(published={"train": (4, 2), "test": (4, 2)}))
    assert run("check", "cub", written("cub", tmp_path)) == 0
    assert "cub: whole\n" in capsys.readouterr().out


def test_faults_are_printed_by_name_up_to_the_limit(tmp_path, capsys):
    root = written("sop", tmp_path)
    images = sorted(root.rglob("*.JPG"))
    for path in images[:3]:
        path.unlink()
    images[3].write_bytes(b"no image")
    assert run("check", "sop", root, "--decode", "--allow-partial", "--limit", "2") == 1
    printed = capsys.readouterr().out
    assert "missing files: 3\n    bicycle_final/111085122871_0.JPG\n    bicycle_final/111085122871_1.JPG\n    and 1 more: " in printed
    assert re.search(r"unreadable files: 1\n    bicycle_final/111085122874_1.JPG: \S", printed)
    assert "sop: wrong: unreadable files\n" in printed
    assert run("check", "sop", root, "--limit", "0") == 1
    printed = capsys.readouterr().out
    assert all(path.name in printed for path in images[:3]) and "more: " not in printed.split("missing files")[1]
    assert "sop: wrong: missing files, other counts\n" in printed


def test_what_cannot_be_read_is_wrong_and_shown_beside_what_is_expected(tmp_path, capsys):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    assert run("check", "cars196", tmp_path, "--allow-partial") == 1
    printed = capsys.readouterr().out
    assert "| holiday.jpg\n" in printed and "there is no cars_annos.mat" in printed
    assert "cars196: wrong: faults of lists and labels\n" in printed


def test_all_data_sets_below_a_root(tmp_path, capsys):
    assert run("make-mini", "--all", tmp_path / "data", "--classes", 4, "--images-per-class", 2) == 0
    assert capsys.readouterr().out.count("wrote ") == len(READERS)
    assert run("check", "--all", tmp_path / "data", "--allow-partial") == 0
    assert capsys.readouterr().out.endswith(f"checked {', '.join(READERS)}; wrong: none; not there: none\n")
    (tmp_path / "data" / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
    (tmp_path / "data" / "sop").rename(tmp_path / "away")
    assert run("check", "--all", tmp_path / "data", "--allow-partial") == 1
    assert capsys.readouterr().out.endswith(
        "checked cub, cars196, inshop, cifar10, cifar100, mnist, folder; wrong: mnist; not there: sop\n")


def test_the_archive_of_cifar_is_checked_as_it_is(tmp_path, capsys):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"no archive")
    assert run("check", "cifar10", tmp_path / "cifar-10-python.tar.gz") == 1
    assert "cannot be read" in capsys.readouterr().out


def test_names_that_a_terminal_cannot_print(tmp_path, monkeypatch):
    root = written("folder", tmp_path, classes=2)
    (root / "class 001").rename(root / "Ä 鳥")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    assert run("check", "folder", root) == 0
    terminal.flush()
    assert rb"\xc4 \u9ce5/" in terminal.buffer.getvalue()


@pytest.mark.parametrize("name, side", [("cub", 227), ("cifar10", 32), ("mnist", 28)])
def test_a_sheet_of_a_batch(tmp_path, capsys, monkeypatch, name, side):
    drawn = {}
    monkeypatch.setattr("gsp_tf.commands.data.draw_sheet", lambda rows, path, title: drawn.update(rows=rows, title=title))
    root = written(name, tmp_path / "data")
    assert run("show", name, root, "--out", tmp_path / "sheet.png", "--classes", 3, "--images", 2, "--part", "test") == 0
    names = READERS[name](root, allow_partial=True)["test"].class_names
    assert len(drawn["rows"]) == min(3, 2 if name == "cub" else 10) and set(drawn["rows"]) <= set(names)
    for images in drawn["rows"].values():
        assert images.shape[:3] == (2, side, side) and 0 <= images.min() < images.max() <= 1
    assert drawn["title"] == f"{ARCHIVES[name].title}, test, as training sees it"


def test_a_sheet_is_a_picture_that_the_seed_decides(tmp_path):
    root = written("mnist", tmp_path / "data")
    sheets = []
    for seed in (0, 0, 1):
        path = tmp_path / "sheet $x$.png"
        assert run("show", "mnist", root, "--out", path, "--classes", 3, "--images", 2, "--seed", seed) == 0
        sheets.append(tf.io.decode_png(path.read_bytes()).numpy())
    assert sheets[0].shape == sheets[2].shape and sheets[0].shape[0] > 300 and np.ptp(sheets[0]) == 255
    assert (sheets[0] == sheets[1]).all() and (sheets[0] != sheets[2]).any()


@pytest.mark.parametrize("arguments, message", [
    (["check"], "give either NAME and PATH or --all ROOT"),
    (["check", "cub"], "give either NAME and PATH or --all ROOT"),
    (["check", "cub", "x", "--all", "x"], "give either NAME and PATH or --all ROOT"),
    (["check", "cub", "--all", "x"], "give either NAME and PATH or --all ROOT"),
    (["check", "cub", "nowhere"], "nowhere does not exist; give the folder that holds CUB-200-2011"),
    (["check", "--all", "nowhere"], "--all nowhere: there is none of the folders cub, cars196"),
    (["make-mini", "cub", "."], ". exists and is not an empty folder"),
    (["make-mini", "cub", "new", "--classes", "1"], "--classes must be at least 2; got 1"),
    (["show", "folder", "data", "--out", "a.png", "--part", "query"], "--part must be one of train, test; got 'query'"),
    (["show", "folder", "data", "--out", "a.png", "--images", "0"], "--images must be at least 1; got 0"),
    (["show", "folder", "data", "--out", "a.png", "--seed", "-1"], "--seed must be at least 0; got -1"),
    (["show", "folder", "data", "--out", "nowhere/a.png"], "--out nowhere/a.png: there is no folder nowhere"),
    (["show", "cub", "data", "--out", "a.png"], "data does not hold CUB-200-2011"),
])
def test_what_the_user_can_mend_is_one_line_and_status_2(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    written("folder", tmp_path / "data", classes=2)
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1 and message in printed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_an_unknown_data_set_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        run("check", "birds", ".")
    assert caught.value.code == 2 and "cub" in capsys.readouterr().err
