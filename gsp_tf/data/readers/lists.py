"""Reading list files of strangers: text in UTF-8, columns apart by blanks, names that stay below a root."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from gsp_tf.errors import UserError


def find_root(path, folders: Sequence[str], markers: Sequence[str], title: str) -> Path:
    """The folder that holds one of the files `markers`: `path` itself, or one of `folders` in it.

    Raises:
        UserError: no such folder.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; give the folder that holds {title}")
    for root in (path, *(path / folder for folder in folders)):
        if any((root / marker).is_file() for marker in markers):
            return root
    raise UserError(
        f"{path} does not hold {title}: there is no {' or '.join(markers)} in it, nor in {' or '.join(folders)} there; "
        "extract the archive there, or give the folder that you extracted it to"
    )


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of the lines of a text file that are not blank.

    Lines end at newlines only and blanks are spaces and tabs only: a Unicode name may hold what Python takes for
    others.

    Raises:
        UserError: a file that cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error}): extract the archive again") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): extract the archive again") from None
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip(" \t\r")
        if line:
            yield number, line


def columns(text: str, count: int) -> list[str]:
    """The columns of a line; the last one may hold blanks of its own."""
    return re.split(r"[ \t]+", text, maxsplit=count - 1)


def whole_number(text: str) -> int | None:
    """The whole number that a column holds, or None."""
    return int(text) if text.isascii() and text.isdigit() else None


def below(root: Path, name: str, where: str) -> Path:
    """`root / name` for a name out of a list.

    Args:
        root: folder of the data set.
        name: what the list says.
        where: the place in the list, for the message.

    Raises:
        UserError: a name that is absolute, climbs out with "..", or is none. Backslashes and drives count too, for
            the same list may be read on Windows.
    """
    absolute = name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name)
    if not name or absolute or "\0" in name or ".." in re.split(r"[/\\]", name):
        raise UserError(
            f"{where}: {name!r} is not a path below {root}; a list of images holds relative paths without '..': "
            "extract the original archive again"
        )
    return root / name
