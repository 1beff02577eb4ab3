"""Everything that can be found out about a data set on disk, problems and all."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from tqdm import tqdm

from gsp_tf.data.decoding import decode, why_undecodable
from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.readers import ARCHIVES
from gsp_tf.data.readers.archive import count_differences, present, relative_names
from gsp_tf.data.splits import split_hash
from gsp_tf.errors import UserError

# A folder with more entries is shown by its first few; the last folders always are.
_MOST_ENTRIES, _FIRST_ENTRIES = 12, 3


class Inspection(NamedTuple):
    """What was found.

    Attributes:
        parts: dict from part name to the images that are there; empty if the lists cannot be read.
        missing: names of the files that are listed and not there.
        unreadable: names of the files that are there and are no images, each with the reason.
        problems: sentences about lists that cannot be read, and labels that contradict each other.
        differences: sentences about counts that are not the published ones.
        digest: `split_hash` of the parts, or None if there are none.
    """

    parts: dict[str, LabelledImages]
    missing: list[str]
    unreadable: list[str]
    problems: list[str]
    differences: list[str]
    digest: str | None


def inspect(name: str, path, decode_images: bool = False, show_progress: bool = False) -> Inspection:
    """Looks for everything that is wrong with a data set, where its reader stops at the first thing.

    Args:
        name: of the data set, as in `gsp_tf.data.readers.READERS`.
        path: of its folder.
        decode_images: decode every image file, which takes minutes for a large data set.
        show_progress: show a bar while decoding.

    Returns:
        An `Inspection`.
    """
    archive = ARCHIVES[name]
    try:
        listing = archive.listing(path)
    except UserError as error:
        return Inspection({}, [], [], [str(error)], [], None)
    parts, missing = present(listing)
    paths = [path for part in parts.values() if part.images.dtype == object for path in part.images]
    unreadable = _unreadable(paths, listing.root, show_progress) if decode_images else []
    problems = [*listing.problems, *(f"the part {name} has no image" for name, part in parts.items() if not len(part))]
    return Inspection(parts, missing, unreadable, problems, count_differences(archive, parts), split_hash(parts))


def found_tree(path, depth: int = 3) -> list[str]:
    """The first files and folders below a folder, a line each, as a user reads them."""
    lines = []
    with os.scandir(path) as entries:
        entries = sorted(entries, key=lambda entry: entry.name)
    shown = entries if depth > 1 and len(entries) <= _MOST_ENTRIES else entries[:_FIRST_ENTRIES]
    for entry in shown:
        if not entry.is_dir():
            lines.append(entry.name)
        elif depth > 1:
            lines.append(f"{entry.name}/")
            lines.extend(f"  {line}" for line in found_tree(entry.path, depth - 1))
        else:
            lines.append(f"{entry.name}/ (holds {len(os.listdir(entry.path)):,})")
    more = len(entries) - len(shown)
    return lines + ([f"... {more:,} more"] if more > 0 else [])


def _unreadable(paths: list[Path], root: Path, show_progress: bool) -> list[str]:
    def reason(path):
        try:
            decode(path.read_bytes())
        except (OSError, ValueError, tf.errors.OpError) as error:
            return f"{relative_names([path], root)[0]}: {why_undecodable(path, error)}"
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = tqdm(pool.map(reason, paths), total=len(paths), unit="image", disable=not show_progress)
        return [found for found in reasons if found]
