"""Resized copies of image files in one file, for machines that decode too slowly."""

import contextlib
import hashlib
import json
import os
import struct
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from gsp_tf.data.checks import check_whole_number
from gsp_tf.data.decoding import cut, decode, decode_window
from gsp_tf.errors import UserError

ENCODINGS = ("jpeg", "raw")

_FORMAT = 1
_JPEG_QUALITY = 95
# A record: its length (8 bytes) and a checksum (4), the data, a checksum (4).
_LENGTH, _BEFORE, _AROUND = struct.Struct("<Q"), 12, 16
_SHAPE_BYTES = 8


def cached_loader(paths, directory, side=256, encoding="jpeg"):
    """Make the loader of a cache of image files, which is written first if it is not there.

    The cache holds every image upright, with its shorter side resized to ``side`` (bilinear, antialiased; a smaller
    image as it is). Its file is named by a hash of the paths, sizes and times of the images and of the settings: when
    one of them changes, another cache is written, and the old one stays until it is deleted. An image that cannot be
    read has an empty entry, and fails when it is loaded, as it does without a cache.

    Args:
        paths: N paths of images.
        directory: folder of the cache; made if need be.
        side: shorter side of what is stored.
        encoding: "jpeg" (quality 95) or "raw", which takes ten times the space and no decoding.

    Returns:
        function ``load(index, window_of)``, as of :func:`gsp_tf.data.image_loading.file_loader`.

    Raises:
        ValueError: for an unknown encoding or a side out of range.
        UserError: for an image that is not there, or a directory that cannot be written.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}.")
    side = check_whole_number("side", side, minimum=1)
    key = _key(paths, side, encoding)
    path = Path(directory) / f"images-{key[:16]}.tfrecord"
    offsets = _offsets(path, key, len(paths))
    if offsets is None:
        _write(path, key, paths, side, encoding)
        offsets = _offsets(path, key, len(paths))
        if offsets is None:
            raise UserError(f"the image cache {path} does not read as it was written: another disk may help")
    return _loader(path, offsets, encoding)


def _key(paths, side, encoding):
    digest = hashlib.sha256(json.dumps([_FORMAT, side, encoding]).encode())
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        entry = os.fsencode(path)
        digest.update(struct.pack("<QQq", len(entry), status.st_size, status.st_mtime_ns) + entry)
    return digest.hexdigest()


def _offsets(path, key, count):
    """Where the images' records begin, int64 (count,), or None if the file is not there, cut off or of another key."""
    try:
        size, offsets, start = path.stat().st_size, [], 0
        with open(path, "rb", buffering=0) as file:
            head = file.read(_BEFORE + len(key))
            while start < size:
                offsets.append(start)
                length = os.pread(file.fileno(), _LENGTH.size, start)
                start += _AROUND + _LENGTH.unpack(length)[0]
    except (OSError, struct.error):
        return None
    if start != size or len(offsets) != count + 1 or head[_BEFORE:] != key.encode():
        return None
    return np.array(offsets[1:], np.int64)


def _write(path, key, paths, side, encoding):
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(os.fsencode(partial)) as writer:
            writer.write(key.encode())
            entries = tf.data.Dataset.from_tensor_slices([os.fsencode(path) for path in paths]).map(
                lambda name: _entry_or_nothing(name, side, encoding), tf.data.AUTOTUNE, deterministic=True
            )
            # On a terminal only.
            for entry in tqdm(entries.as_numpy_iterator(), "caching images", len(paths), disable=None):
                writer.write(entry)
        os.replace(partial, path)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(getattr(error, "message", None) or error).split())
        raise UserError(
            f"the image cache {path} cannot be written: {reason}; name another folder, or do without a cache"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _entry_or_nothing(name, side, encoding):
    entries = tf.data.Dataset.from_tensors(name).map(lambda name: _entry(tf.io.read_file(name), side, encoding))
    return entries.ignore_errors().concatenate(tf.data.Dataset.from_tensors("")).take(1).get_single_element()


def _entry(contents, side, encoding):
    image = _shrunk(decode(contents), side)
    if encoding == "jpeg":
        return tf.io.encode_jpeg(image, quality=_JPEG_QUALITY)
    # As bytes in native order, which the key leaves out: a cache is not carried between machines.
    shape = tf.reshape(tf.bitcast(tf.shape(image)[:2], tf.uint8), [-1])
    pixels = tf.concat([shape, tf.reshape(image, [-1])], axis=0)
    return tf.numpy_function(lambda values: values.tobytes(), [pixels], tf.string)


def _shrunk(image, side):
    shape = tf.shape(image)[:2]
    shorter = tf.reduce_min(shape)

    def shrink():
        size = tf.maximum(tf.cast(tf.round(tf.cast(shape, tf.float64) * (side / shorter)), tf.int32), 1)
        pixels = tf.image.resize(image, size, antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)

    return tf.cond(shorter > side, shrink, lambda: image)


def _loader(path, offsets, encoding):
    with tf.device("CPU"):
        offsets = tf.constant(offsets)

    def load(index, window_of):
        entry = _record(os.fsencode(path), tf.gather(offsets, index))
        return decode_window(entry, window_of) if encoding == "jpeg" else cut(_raw(entry), window_of)

    return load


def _raw(entry):
    values = tf.io.decode_raw(entry, tf.uint8)
    shape = tf.bitcast(tf.reshape(values[:_SHAPE_BYTES], (2, -1)), tf.int32)
    return tf.reshape(values[_SHAPE_BYTES:], (shape[0], shape[1], 3))


def _record(path, offset):
    # tf.data.TFRecordDataset has no argument for where to begin.
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=[path], compression_type="", buffer_size=0, byte_offsets=[offset]
    )
    types = {"output_types": [tf.string], "output_shapes": [()]}
    first = tf.raw_ops.TakeDataset(input_dataset=records, count=tf.constant(1, tf.int64), **types)
    return tf.raw_ops.DatasetToSingleElement(dataset=first, **types)[0]
