"""What all readers share: whole or partial, names that stay below the root, roots of any name."""

import os
import stat
import unicodedata

import numpy as np
import pytest

from gsp_tf.data.readers import ARCHIVES, READERS, read_cub, read_inshop, read_sop
from gsp_tf.data.readers.archive import count_differences, read
from gsp_tf.data.readers.lists import below, columns, lines
from gsp_tf.errors import UserError
from tests.data.readers.copies import relative, replace, written

OF_FILES = ("cub", "cars196", "sop", "inshop", "folder")
PUBLISHED = {
    "cub": {"train": (5864, 100), "test": (5924, 100)},
    "cars196": {"train": (8054, 98), "test": (8131, 98)},
    "sop": {"train": (59551, 11318), "test": (60502, 11316)},
    "inshop": {"train": (25882, 3997), "query": (14218, 3985), "gallery": (12612, 3985)},
    "cifar10": {"train": (50000, 10), "test": (10000, 10)},
    "cifar100": {"train": (50000, 100), "test": (10000, 100)},
    "mnist": {"train": (60000, 10), "test": (10000, 10)},
    "folder": {},
}


@pytest.mark.parametrize("name", READERS)
def test_the_counts_are_the_published_ones_unless_partial_is_allowed(tmp_path, name):
    assert ARCHIVES[name].published == PUBLISHED[name] and ARCHIVES[name].name == name
    root = written(name, tmp_path)
    parts = READERS[name](root, allow_partial=True)
    if name == "folder":
        assert list(READERS[name](root)) == list(parts)
        return
    with pytest.raises(UserError) as caught:
        READERS[name](root)
    for part, (images, classes) in PUBLISHED[name].items():
        found = f"{part} has {len(parts[part])} images of {len(np.unique(parts[part].labels))} classes"
        assert f"{found}, as published {images:,} of {classes:,}" in str(caught.value)
    published = {part: (len(images), len(np.unique(images.labels))) for part, images in parts.items()}
    whole = ARCHIVES[name]._replace(published=published)
    assert count_differences(whole, parts) == [] and list(read(whole, root)) == list(parts)


@pytest.mark.parametrize("name", OF_FILES[:-1])
def test_missing_files_are_named_or_left_out(tmp_path, name):
    root = written(name, tmp_path, images_per_class=4)
    parts = READERS[name](root, allow_partial=True)
    last = list(parts)[-1]
    lost = parts[last].images[[0, 2]]
    for path in lost:
        path.unlink()
    with pytest.raises(UserError) as caught:
        READERS[name](root)
    assert "lacks 2 files: " in str(caught.value) and "set allow_partial" in str(caught.value)
    assert all(path.name in str(caught.value) for path in lost)
    with pytest.warns(UserWarning, match="lacks 2 files: .*allow_partial goes on without them"):
        left = READERS[name](root, allow_partial=True)[last]
    kept = np.isin(np.arange(len(parts[last])), [0, 2], invert=True)
    assert list(left.images) == list(parts[last].images[kept])
    assert left.labels.tolist() == parts[last].labels[kept].tolist()


def test_of_many_missing_files_the_first_are_named(tmp_path):
    root = written("cub", tmp_path)
    for path in (root / "CUB_200_2011" / "images").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(UserError, match=r"lacks 8 files: (images/\S+, ){4}images/\S+ and 3 more"):
        read_cub(root)
    with pytest.warns(UserWarning), pytest.raises(UserError, match="the part train of CUB-200-2011 has no image"):
        read_cub(root, allow_partial=True)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("folder", ["two  spaces ", "Vögel 鳥 🐦", "[a-c]*", "#'\"$(id)"])
def test_a_root_of_any_name(tmp_path, monkeypatch, name, folder):
    root = written(name, tmp_path / folder)
    absolute = READERS[name](root, allow_partial=True)
    monkeypatch.chdir(root)
    for path in (str(root), f"{root}/", "."):
        assert {part: images.labels.tolist() for part, images in READERS[name](path, allow_partial=True).items()} == {
            part: images.labels.tolist() for part, images in absolute.items()}
    for part in absolute.values():
        assert part.images.dtype == np.uint8 or all(path.is_file() for path in part.images)


@pytest.mark.parametrize("name", READERS)
def test_a_root_that_may_only_be_read(tmp_path, name):
    root = written(name, tmp_path / "data")
    before = sorted(root.rglob("*"))
    for path in (root, *before):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        assert READERS[name](root, allow_partial=True)
        assert sorted(root.rglob("*")) == before
    finally:
        for path in (root, *before):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_names_in_lists_may_hold_blanks_and_unicode(tmp_path):
    root = written("cub", tmp_path) / "CUB_200_2011"
    old = "Laysan_Albatross_0002_4.jpg"
    new = "Laysan  Albatross\u00a0é\u3000\u2028鳥 .jpg"
    (root / "images" / "002.Laysan_Albatross" / old).rename(root / "images" / "002.Laysan_Albatross" / new)
    replace(root / "images.txt", old, f"{new} \t\r")
    assert read_cub(root, allow_partial=True)["train"].images[3].name == new

    root = written("inshop", tmp_path / "inshop")
    image = read_inshop(root, allow_partial=True)["train"].images[0]
    image.rename(image.with_name(new))
    replace(root / "Eval" / "list_eval_partition.txt", "Dresses/id_00000001/01_1_front.jpg", f"Dresses/id_00000001/{new}")
    assert read_inshop(root, allow_partial=True)["train"].images[0].name == new


def test_a_name_in_another_form_of_unicode_is_found_where_the_disk_finds_it(tmp_path):
    root = written("sop", tmp_path) / "Stanford_Online_Products"
    composed = unicodedata.normalize("NFC", "é.JPG")
    image = read_sop(root, allow_partial=True)["train"].images[0]
    image.rename(image.with_name(unicodedata.normalize("NFD", composed)))
    replace(root / "Ebay_train.txt", image.name, composed)
    if os.path.isfile(image.with_name(composed)):
        assert len(read_sop(root, allow_partial=True)["train"]) == 4
    else:
        with pytest.warns(UserWarning, match="lacks 1 file"):
            assert len(read_sop(root, allow_partial=True)["train"]) == 3


@pytest.mark.parametrize("name, list_file, old", [
    ("cub", "CUB_200_2011/images.txt", "001.Black_footed_Albatross/Black_footed_Albatross_0001_1.jpg"),
    ("sop", "Stanford_Online_Products/Ebay_test.txt", "chair_final/111085122873_0.JPG"),
    ("inshop", "Eval/list_eval_partition.txt", "img/WOMEN/Dresses/id_00000001/01_1_front.jpg"),
])
@pytest.mark.parametrize("new", ["../secret.jpg", "/etc/passwd", "001.x/../../../secret.jpg", "..\\secret.jpg", "C:\\secret.jpg",
                                 "\\\\host\\secret.jpg", "a\0b.jpg"])
def test_a_list_does_not_lead_out_of_the_root(tmp_path, name, list_file, old, new):
    root = written(name, tmp_path / "data")
    (tmp_path / "secret.jpg").write_bytes(b"")
    replace(root / list_file, old, new)
    with pytest.raises(UserError, match="is not a path below"):
        READERS[name](root, allow_partial=True)


def test_a_list_of_other_text_is_an_error(tmp_path):
    root = written("sop", tmp_path) / "Stanford_Online_Products"
    (root / "Ebay_test.txt").write_bytes("1 1 1 é.jpg".encode("latin1"))
    with pytest.raises(UserError, match="Ebay_test.txt is not text in UTF-8"):
        read_sop(root, allow_partial=True)
    (root / "Ebay_test.txt").unlink()
    with pytest.raises(UserError, match="Ebay_test.txt cannot be read .No such file"):
        read_sop(root, allow_partial=True)


def test_lines_and_columns(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff1 a  b\t\r\n\n \t\r\n2\tc\u00a0d\u2028e\n".encode())
    found = list(lines(path))
    assert found == [(1, "1 a  b"), (4, "2\tc\u00a0d\u2028e")]
    assert [columns(text, 2) for _, text in found] == [["1", "a  b"], ["2", "c\u00a0d\u2028e"]]


def test_names_with_dots_of_their_own_are_no_way_out(tmp_path):
    for name in ("a..b.jpg", "..a/b", "a/...", "ab:c", "x/c:d.jpg"):
        assert below(tmp_path, name, "here") == tmp_path / name
    with pytest.raises(UserError, match="here: '' is not a path below"):
        below(tmp_path, "", "here")


def test_a_missing_part_counts_as_none(tmp_path):
    parts = read_cub(written("cub", tmp_path), allow_partial=True)
    assert relative(parts["train"], tmp_path)
    assert count_differences(ARCHIVES["cub"], {"train": parts["train"]})[1] == (
        "test has 0 images of 0 classes, as published 5,924 of 100")
