"""A published data set: what its archive holds, and what every reader does with what it lists."""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers.listing import Listing
from gsp_tf.errors import UserError

SHOWN_NAMES = 5


class Archive(NamedTuple):
    """A data set that gsp_tf reads.

    Attributes:
        name: as in `gsp_tf.data.readers.READERS`.
        title: as its authors write it.
        tree: what is expected on disk, a line each, as a user sees it.
        published: part name to (number of images, number of classes) as published; empty if any number will do.
        listing: function from a path to a `Listing`.
    """

    name: str
    title: str
    tree: str
    published: Mapping[str, tuple[int, int]]
    listing: Callable[..., Listing]


def read(archive: Archive, path, allow_partial: bool = False, **options) -> dict[str, LabelledImages]:
    """Reads a data set and checks that it is whole.

    Args:
        archive: which one.
        path: of its folder.
        allow_partial: leave images out whose files are missing, with a warning that counts them, and accept other
            numbers of images and classes than the published ones.
        **options: passed on to the archive's listing.

    Returns:
        Dict from part name to `LabelledImages`.

    Raises:
        UserError: files that are missing or cannot be read, labels that contradict each other, other counts than
            the published ones, or a part without an image.
    """
    listing = archive.listing(path, **options)
    hint = f"`gsp-data check {archive.name} '{path}'` shows everything"
    if listing.problems:
        raise UserError(f"{path}: {named(listing.problems, '; ')}; extract the archive again; {hint}")
    parts, missing = present(listing)
    if missing:
        lost = f"{path}: {archive.title} lacks {len(missing)} file{'s' * (len(missing) > 1)}: {named(missing)}"
        if not allow_partial:
            raise UserError(f"{lost}; extract the archive again, or set allow_partial to go without them; {hint}")
        warnings.warn(f"{lost}; allow_partial goes on without them", stacklevel=3)
    for name, part in parts.items():
        if not len(part):
            raise UserError(f"{path}: the part {name} of {archive.title} has no image; {hint}")
    differences = [] if allow_partial else count_differences(archive, parts)
    if differences:
        raise UserError(
            f"{path}: {'; '.join(differences)}; extract {archive.title} again, or set allow_partial; {hint}"
        )
    return parts


def present(listing: Listing) -> tuple[dict[str, LabelledImages], list[str]]:
    """The parts of a listing without the images that have no file, and the names of the files that are missing."""
    parts, missing = {}, list(listing.missing)
    folders = {}
    for name, part in listing.parts.items():
        if part.images.dtype == object:
            there = np.array([_is_file(str(path), folders) for path in part.images], dtype=bool)
            missing.extend(relative_names(part.images[~there], listing.root))
            part = part.select(there)
        parts[name] = part
    return parts, missing


def count_differences(archive: Archive, parts: Mapping[str, LabelledImages]) -> list[str]:
    """A sentence for each part whose numbers of images and classes are not the published ones."""
    differences = []
    for name, (images, classes) in archive.published.items():
        part = parts.get(name)
        found = (0, 0) if part is None else (len(part), len(np.unique(part.labels)))
        if found != (images, classes):
            differences.append(
                f"{name} has {found[0]:,} images of {found[1]:,} classes, as published {images:,} of {classes:,}"
            )
    return differences


def relative_names(paths: Iterable[Path], root: Path) -> list[str]:
    """Paths below `root` as POSIX names relative to it."""
    return [path.relative_to(root).as_posix() for path in paths]


def named(names: Iterable[str], separator: str = ", ") -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = len(names) - SHOWN_NAMES
    return separator.join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _is_file(path: str, folders: dict[str, set[str]]) -> bool:
    # One listing of a folder costs far less than a question for each of its files, on network disks above all. What
    # the listing lacks is asked for all the same: a disk may spell a Unicode name in another form than the list.
    folder, name = os.path.split(path)
    if folder not in folders:
        try:
            with os.scandir(folder) as entries:
                folders[folder] = {entry.name for entry in entries if entry.is_file()}
        except OSError:
            folders[folder] = set()
    return name in folders[folder] or os.path.isfile(path)
