"""Small data sets to damage."""

from pathlib import Path

from gsp_tf.data.mini import make_mini


def written(name, path, classes=4, images_per_class=2):
    """The path, after a small data set was written there."""
    make_mini(name, path, classes, images_per_class)
    return Path(path)


def replace(path, old, new):
    """Replace text that a file holds once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, text
    path.write_text(text.replace(old, new), encoding="utf-8")


def relative(part, root):
    """Names of a part's files below a root."""
    return [path.relative_to(root).as_posix() for path in part.images]
