"""``gsp-data``: check a data set on disk, make a small one, draw a batch of it."""

import argparse
import sys
from itertools import zip_longest
from pathlib import Path

import numpy as np

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.data.augmentation import Augmentation
from gsp_tf.data.image_dataset import ImageDataset
from gsp_tf.data.inspection import found_tree, inspect
from gsp_tf.data.mini import MINIS, make_mini
from gsp_tf.data.readers import ARCHIVES, READERS
from gsp_tf.errors import UserError
from gsp_tf.report.image_sheet import draw_sheet


def parser():
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="gsp-data",
        description="Check data sets on disk, make small ones, draw batches of them.",
        epilog="example: gsp-data check cub /data/cub --decode",
    )
    commands = made.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="say what is there, what is missing and what is wrong",
        description="Say what of a data set is there, what is missing and what is wrong. Exit status: 0, it is whole; "
                    "1, it is not; 2, there is nothing to check.",
    )
    _add_target(check, READERS)
    check.add_argument("--allow-partial", action="store_true", help="missing files and other counts are no fault")
    check.add_argument("--decode", action="store_true", help="decode every image, which may take minutes")
    check.add_argument("--limit", type=int, default=20, metavar="N",
                       help="names to print of each kind of fault; 0 prints all (default: %(default)s)")
    check.set_defaults(run=check_data)
    mini = commands.add_parser(
        "make-mini", help="write a small data set of generated images",
        description="Write a small data set of generated images in the layout of the official archive.",
    )
    _add_target(mini, MINIS)
    mini.add_argument("--classes", type=int, default=12, help="number of classes (default: %(default)s)")
    mini.add_argument("--images-per-class", type=int, default=6, help="(default: %(default)s)")
    mini.set_defaults(run=make_mini_data)
    show = commands.add_parser(
        "show", help="draw a batch as training sees it", description="Draw a batch of augmented images, a class a row.",
    )
    show.add_argument("name", choices=READERS, help="of the data set")
    show.add_argument("path", type=Path, help="folder of the data set")
    show.add_argument("--out", type=Path, required=True, help="PNG file to write")
    show.add_argument("--part", default="train", help="such as train, test, query (default: %(default)s)")
    show.add_argument("--classes", type=int, default=8, help="number of rows (default: %(default)s)")
    show.add_argument("--images", type=int, default=6, help="number of columns (default: %(default)s)")
    show.add_argument("--seed", type=int, default=0, help="of the batch (default: %(default)s)")
    show.set_defaults(run=show_data)
    return made


def _add_target(made, names):
    made.add_argument("name", nargs="?", choices=names, help="of the data set")
    made.add_argument("path", nargs="?", type=Path, help="folder of the data set")
    made.add_argument("--all", type=Path, metavar="ROOT",
                      help=f"every data set, each in a folder of its name below ROOT: {', '.join(READERS)}")


def check_data(arguments):
    """Print what was found; say whether anything is wrong."""
    _check_target(arguments)
    if arguments.all is None:
        targets = {arguments.name: arguments.path}
    else:
        targets = {name: arguments.all / name for name in READERS if (arguments.all / name).exists()}
    if not targets:
        raise UserError(f"--all {arguments.all}: there is none of the folders {', '.join(READERS)} in it")
    wrong = [name for name, path in targets.items() if not _check_one(name, path, arguments)]
    if arguments.all is not None:
        absent = [name for name in READERS if name not in targets]
        _say(f"checked {', '.join(targets)}; wrong: {', '.join(wrong) or 'none'}; not there: "
             f"{', '.join(absent) or 'none'}")
    return bool(wrong)


def _check_one(name, path, arguments):
    archive = ARCHIVES[name]
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path} does not exist; give the folder that holds {archive.title}")
    found = inspect(name, path, arguments.decode, show_progress=sys.stderr.isatty())
    _say(f"{archive.title} in {path}\n")
    expected = ["expected", *archive.tree.splitlines()]
    width = max(len(line) for line in expected)
    tree = found_tree(path) if path.is_dir() else [path.name]
    for left, right in zip_longest(expected, ["found", *tree], fillvalue=""):
        _say(f"  {left:<{width}} | {right}".rstrip())
    _say("")
    for part, images in found.parts.items():
        counts = f"{len(images):,} images of {len(np.unique(images.labels)):,} classes"
        published = "{:,} of {:,}".format(*archive.published[part]) if part in archive.published else "any"
        _say(f"  {part:<10} {counts} (published: {published})")
    partial = {"missing files": found.missing, "other counts": found.differences}
    faults = {"unreadable files": found.unreadable, "faults of lists and labels": found.problems}
    for kind, sentences in {**partial, **faults}.items():
        not_looked = kind == "unreadable files" and not arguments.decode
        _say(f"  {kind}: {'not looked for; --decode does' if not_looked else len(sentences) or 'none'}")
        shown = sentences[:arguments.limit] if arguments.limit else sentences
        for sentence in shown:
            _say(f"    {sentence}")
        if len(shown) < len(sentences):
            _say(f"    and {len(sentences) - len(shown)} more: --limit 0 prints all")
    if found.digest is not None:
        _say(f"  split hash: {found.digest}")
    wrong = [kind for kind, sentences in faults.items() if sentences]
    missed = [kind for kind, sentences in partial.items() if sentences]
    if not arguments.allow_partial:
        wrong, missed = wrong + missed, []
    verdict = f"wrong: {', '.join(wrong)}" if wrong else "partial, as allowed" if missed else "whole"
    _say(f"  {name}: {verdict}\n")
    return not wrong


def make_mini_data(arguments):
    """Write one small data set, or one of each kind."""
    _check_target(arguments)
    targets = {arguments.name: arguments.path}
    if arguments.all is not None:
        targets = {name: arguments.all / name for name in READERS}
    for option in ("classes", "images_per_class"):
        _at_least(option, getattr(arguments, option), 2)
    for name, path in targets.items():
        make_mini(name, path, arguments.classes, arguments.images_per_class)
        _say(f"wrote {path}; next: gsp-data check {name.removesuffix('_devkit')} '{path}' --allow-partial")


def show_data(arguments):
    """Draw a batch of a part, augmented as for training."""
    for option in ("classes", "images"):
        _at_least(option, getattr(arguments, option), 1)
    _at_least("seed", arguments.seed, 0)
    if not arguments.out.parent.is_dir():
        raise UserError(f"--out {arguments.out}: there is no folder {arguments.out.parent}; make it, or give another")
    parts = READERS[arguments.name](arguments.path, allow_partial=True)
    if arguments.part not in parts:
        raise UserError(f"--part must be one of {', '.join(parts)}; got {arguments.part!r}")
    part = parts[arguments.part]
    dataset = ImageDataset(part, _augmentation(part.images))
    classes = min(arguments.classes, dataset.num_classes)
    images, labels = next(dataset.training_batches(classes, arguments.images, arguments.seed))
    rows = {dataset.class_names[label]: images[labels == label] for label in np.unique(labels)}
    draw_sheet(rows, arguments.out, f"{ARCHIVES[arguments.name].title}, {arguments.part}, as training sees it")
    _say(f"wrote {arguments.out}")


def _augmentation(images):
    if images.dtype == object:
        return Augmentation()
    # Images as small as CIFAR's keep their size.
    side = min(images.shape[1:3])
    return Augmentation(resize=side, crop=side, min_side=side // 2)


def _check_target(arguments):
    given = arguments.name is not None and arguments.path is not None
    if given == (arguments.all is not None) or (arguments.all is not None and arguments.name is not None):
        raise UserError(f"give either NAME and PATH or --all ROOT, such as: gsp-data {arguments.command} cub /data/cub")


def _at_least(option, value, minimum):
    if value < minimum:
        raise UserError(f"--{option.replace('_', '-')} must be at least {minimum}; got {value}")


def _say(text):
    # A file name may be no Unicode, and a terminal may know few characters.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def main(argv=None):
    """Entry point; returns the exit status."""
    outcome = []
    arguments = parser().parse_args(argv)
    status = exit_status(lambda parsed: outcome.append(parsed.run(parsed)), arguments)
    return status or int(bool(outcome[0]))


if __name__ == "__main__":
    sys.exit(main())
