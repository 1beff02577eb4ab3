"""Published data sets and folders of images, as a config names them: read, cut by class, augmented."""

import functools

from gsp_tf.data.augmentation import Augmentation
from gsp_tf.data.image_dataset import ImageDataset
from gsp_tf.data.readers import READERS
from gsp_tf.data.splits import check_split, class_split, split_hash
from gsp_tf.errors import UserError


def image_dataset(name, part, path, split="fair", fold=0, folds=None, augmentation=None, cache=None,
                  allow_partial=False, test=None, validation=None):
    """One part of a data set on disk.

    Args:
        name: key of ``gsp_tf.data.readers.READERS``.
        part: "train", "validation" or "test". In-shop's test part is the queries, with the ``gallery`` beside it.
        path: of the data set.
        split: "fair" or "tuning" hold the classes of one of several partitions of the training classes out to validate
            on; "conventional" trains on all, and **the test part validates**, so that it chooses the checkpoint.
        fold: which partition is held out.
        folds: how many partitions; by default 4 for fair, 5 for tuning.
        augmentation: dict of the arguments of :class:`gsp_tf.data.augmentation.Augmentation`.
        cache: folder for resized copies of the images, or None.
        allow_partial: whether missing images, and other counts than the published ones, are taken.
        test, validation: of a folder: fraction or names of its classes, see
            :func:`gsp_tf.data.readers.read_folder`. A folder with ``validation`` needs no other split.

    Returns:
        :class:`gsp_tf.data.image_dataset.ImageDataset` with the attribute ``gallery``, None or another one.

    Raises:
        UserError: for files that are not as they should be.
        ValueError: for an argument out of range.
    """
    parts = image_parts(name, path, split, fold, folds, allow_partial, test, validation)
    settings = Augmentation(**(augmentation or {}))
    made = ImageDataset(parts[part], settings, cache)
    gallery = parts.get(f"{part}_gallery")
    made.gallery = None if gallery is None else ImageDataset(gallery, settings, cache)
    return made


def image_parts(name, path, split="fair", fold=0, folds=None, allow_partial=False, test=None, validation=None):
    """The images of every part, see :func:`image_dataset`; the key of a part's gallery is ``<part>_gallery``."""
    options = {key: _hashable(value) for key, value in (("test", test), ("validation", validation))
               if value is not None}
    if options and name != "folder":
        raise UserError(f"data.{next(iter(options))} is for name: folder; {name} has parts of its own: remove it")
    read = _read(name, str(path), bool(allow_partial), **options)
    tested = {"test": read["query"], "test_gallery": read["gallery"]} if "query" in read else {"test": read["test"]}
    check_split(split)
    if "validation" in read:
        return {"train": read["train"], "validation": read["validation"], **tested}
    parts = class_split(read["train"].labels, split, fold, folds).of({"train": read["train"]})
    if split == "conventional":
        parts |= {key.replace("test", "validation"): value for key, value in tested.items()}
    return {**parts, **tested}


def image_split_hash(name, wanted=None, **arguments):
    """SHA-256 of which image is in which part, for the arguments of :func:`image_dataset`.

    ``wanted`` names the parts that count, with their galleries; None takes all.
    """
    for key in ("augmentation", "cache"):
        arguments.pop(key, None)
    parts = image_parts(name, **arguments)
    return split_hash({key: part for key, part in parts.items()
                       if wanted is None or key.removesuffix("_gallery") in wanted})


@functools.lru_cache(maxsize=2)
def _read(name, path, allow_partial, **options):
    """What the reader gives; the parts of a run come from one reading."""
    return READERS[name](path, allow_partial=allow_partial, **options)


def _hashable(value):
    return tuple(value) if isinstance(value, list) else value
