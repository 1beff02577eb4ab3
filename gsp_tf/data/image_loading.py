"""From the index of an image to batches of pixels, in TensorFlow graphs."""

import os

import numpy as np
import tensorflow as tf

from gsp_tf.data.decoding import cut, decode_window
from gsp_tf.data.image_sampler import indices_of_classes

_BATCHES_AHEAD = 2


def file_loader(paths):
    """Make the loader of image files.

    Args:
        paths: N paths, with whatever characters the file system allows.

    Returns:
        function of an index, an integer tensor, and a function of height and width that gives the window: see
        :func:`gsp_tf.data.decoding.decode_window`. It returns the window of that image, uint8 (h, w, 3).
    """
    with tf.device("CPU"):
        names = tf.constant([os.fsencode(path) for path in paths])
    return lambda index, window_of: decode_window(tf.io.read_file(tf.gather(names, index)), window_of)


def array_loader(images):
    """Make the loader of images in memory, uint8 (N, H, W, C): see :func:`file_loader`."""
    with tf.device("CPU"):
        pixels = tf.constant(images)
    return lambda index, window_of: cut(tf.gather(pixels, index), window_of)


def first_readable(make, labels, image_shape):
    """Make a function that puts, in the place of an image that cannot be decoded, the next of its class that can.

    The next is that in the order of ``labels``, after the last the first.

    Args:
        make: function ``(index, variates) → image`` for TensorFlow graphs, float32 of shape ``image_shape``.
        labels: whole numbers (N,), every one of 0 to C − 1 at least once.

    Returns:
        function ``(index, variates) → (index, used, image)`` for the map of a ``tf.data.Dataset``: ``used`` is the
        index of the image that was taken, −1 if no image of the class can be decoded.
    """
    members = indices_of_classes(labels, max(labels) + 1)
    places = np.empty(len(labels), np.int64)
    for indices in members:
        places[indices] = np.arange(len(indices))
    counts = np.array([len(indices) for indices in members])
    with tf.device("CPU"):
        members, places, labels = (tf.constant(x, tf.int64) for x in (np.concatenate(members), places, labels))
        counts, starts = tf.constant(counts, tf.int64), tf.constant(np.cumsum(counts) - counts, tf.int64)

    def first(index, variates):
        label, place = tf.gather(labels, index), tf.gather(places, index)
        count, start = tf.gather(counts, label), tf.gather(starts, label)

        def example(offset):
            candidate = tf.gather(members, start + (place + offset) % count)
            return candidate, make(candidate, variates)

        # Both are lazy: the second image is decoded only if the first cannot be.
        readable = tf.data.Dataset.range(count).map(example).ignore_errors()
        nothing = tf.data.Dataset.range(-1, 0).map(lambda number: (number, tf.zeros(image_shape)))
        used, image = readable.concatenate(nothing).take(1).get_single_element()
        return index, used, image

    return first


def parallel_batches(requests, example, batch_size, parallel_calls=None):
    """Map the elements of a ``tf.data.Dataset``, several at a time, in their order, and batch them ahead of time.

    Args:
        requests: ``tf.data.Dataset``.
        example: function of an element of it for TensorFlow graphs.
        batch_size: results in a batch; the last may have fewer.
        parallel_calls: results computed at a time; by default tf.data decides.

    Returns:
        ``tf.data.Dataset``.
    """
    options = tf.data.Options()
    options.deterministic = True
    # Threads of its own (0: one for each core): batches may be asked for from within another pipeline, which would
    # hold those that this one needs.
    options.threading.private_threadpool_size = parallel_calls or 0
    examples = requests.map(example, parallel_calls or tf.data.AUTOTUNE)
    return examples.batch(batch_size).prefetch(_BATCHES_AHEAD).with_options(options)
