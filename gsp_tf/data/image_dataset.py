"""Batches of augmented images, made by tf.data."""

import warnings
from collections import Counter

import numpy as np
import tensorflow as tf

from gsp_tf.data.augmentation import (
    VARIATES,
    Augmentation,
    evaluation_window,
    mirrored,
    resized,
    training_window,
)
from gsp_tf.data.batches import slice_of_part
from gsp_tf.data.checks import check_labels, check_whole_number
from gsp_tf.data.decoding import why_undecodable
from gsp_tf.data.image_loading import array_loader, file_loader, first_readable, parallel_batches
from gsp_tf.data.image_sampler import ImageSampler, draw_indices, indices_of_classes
from gsp_tf.data.tfrecord_cache import cached_loader
from gsp_tf.errors import UserError

_AUGMENTATION_STREAM = 4


class ImageDataset:
    """Images with class labels: random windows of them to train on, their middles to evaluate on.

    Batch t of training depends on the images, the settings, the sizes, the seed and t alone, whatever the number of
    cores, so that a run resumed at step t continues with the very batches it would have seen. Nothing holds all images
    in memory unless they came as an array.

    An image that cannot be decoded is an error in evaluation. In training the next readable image of its class takes
    its place, with a warning the first time, and :attr:`skipped` counts.

    Args:
        labelled_images: :class:`gsp_tf.data.LabelledImages`.
        augmentation: :class:`gsp_tf.data.Augmentation`.
        cache_directory: folder of a cache of resized images, see :func:`gsp_tf.data.cached_loader`; none by default.
        parallel_calls: images decoded at a time; by default tf.data decides.

    Attributes:
        class_names: names of the classes that have an image here, a tuple.
        num_classes: their number, C.
        labels: int32 (N,), indices into ``class_names``.
        image_shape: (crop, crop, C): three channels from files, those of the array from an array.
        skipped: how often each path was skipped in training, a ``Counter``.

    Raises:
        ValueError: for no image, labels or images of another form, or a number out of range.
        UserError: for a cache that cannot be written.

    Example:
        >>> from gsp_tf.data.labelled_images import LabelledImages
        >>> pixels = np.zeros((6, 40, 50, 3), np.uint8)
        >>> digits = LabelledImages(pixels, np.array([0, 0, 2, 2, 2, 2]), ("zero", "one", "two"))
        >>> dataset = ImageDataset(digits, Augmentation(resize=32, crop=28, min_side=16))
        >>> dataset.class_names, dataset.image_shape
        (('zero', 'two'), (28, 28, 3))
        >>> images, labels = next(dataset.training_batches(2, 3, seed=0))
        >>> images.shape, labels.shape
        ((6, 28, 28, 3), (6,))
    """

    def __init__(self, labelled_images, augmentation=None, cache_directory=None, parallel_calls=None):
        self.images = np.asarray(labelled_images.images)
        self.augmentation = Augmentation() if augmentation is None else augmentation
        if len(self.images) == 0 or len(self.images) != len(labelled_images.labels):
            raise ValueError(
                f"labelled_images must hold at least one image and a label for each, got {len(self.images)} images and "
                f"{len(labelled_images.labels)} labels."
            )
        labels = check_labels(labelled_images.labels, len(labelled_images.class_names))
        classes, labels = np.unique(labels, return_inverse=True)
        self.labels = labels.astype(np.int32)
        self.class_names = tuple(labelled_images.class_names[label] for label in classes)
        self.num_classes = len(classes)
        self.skipped = Counter()
        self.parallel_calls = parallel_calls
        if parallel_calls is not None:
            check_whole_number("parallel_calls", parallel_calls, minimum=1)
        self.cache_directory = cache_directory
        self._load, channels = self._source()
        self.image_shape = (self.augmentation.crop, self.augmentation.crop, channels)
        # Traced once, for evaluations come often.
        self._example = tf.function(first_readable(self._window, self.labels, self.image_shape))
        self._middle_of = tf.function(self._middle)

    def __len__(self):
        return len(self.labels)

    def training_batches(self, classes_per_batch, samples_per_class, seed, start_step=0, part=(0, 1)):
        """Endless batches of random windows, ``samples_per_class`` of each of ``classes_per_batch`` classes.

        Args:
            classes_per_batch, samples_per_class, seed: see :class:`gsp_tf.data.ImageSampler`.
            start_step: index of the first batch to give.
            part: (i, k) for the i-th of k equal consecutive parts of every batch, so that several processes make
                a global batch without each decoding all of it; all of it by default.

        Returns:
            Iterator of images, float32 (P·m/k, H, W, C) in [0, 1], RGB, and labels, int32; a class's are adjacent.

        Raises:
            ValueError: a number out of range.
            UserError: on the way, if no image of a class can be decoded.
        """
        start_step = check_whole_number("start_step", start_step, minimum=0)
        sampler = ImageSampler(self.labels, classes_per_batch, samples_per_class, seed)
        batch_size = classes_per_batch * samples_per_class
        kept = slice_of_part(part, batch_size)
        size = kept.stop - kept.start
        sampler.skip(start_step)

        def requests():
            for step, (indices, _) in enumerate(sampler, start_step):
                rng = np.random.default_rng([sampler.seed, step, _AUGMENTATION_STREAM])
                yield indices[kept], rng.random((batch_size, VARIATES))[kept]

        signature = (tf.TensorSpec((size,), tf.int64), tf.TensorSpec((size, VARIATES), tf.float64))
        return self._augmented(tf.data.Dataset.from_generator(requests, output_signature=signature).unbatch(), size)

    def evaluation_batches(self, batch_size):
        """The middles of all images, in order.

        Returns:
            Iterator of images, float32 (``batch_size`` or, at the end, fewer, H, W, C) in [0, 1], RGB.

        Raises:
            UserError: on the way, for images that cannot be decoded, with their paths.
        """
        batch_size = check_whole_number("batch_size", batch_size, minimum=1)
        return self._evaluated(batch_size)

    def evaluation_images(self, indices):
        """The middles of some images, float32 (len(indices), H, W, C) in [0, 1]."""
        return np.stack([self._middle(tf.constant(index, tf.int64)).numpy() for index in indices])

    def draw_batches(self, labels, rng, batch_size):
        """Draw a random window of a random image of each class asked for.

        Those of a class are of different images, as long as it has so many.

        Args:
            labels: integers (B,) in [0, num_classes).
            rng: the NumPy generator that everything is drawn with; equal generators give equal images.
            batch_size: images to give at a time.

        Returns:
            Iterator of images, float32 (``batch_size`` or, at the end, fewer, H, W, C) in [0, 1], RGB.
        """
        labels = check_labels(labels, self.num_classes)
        batch_size = check_whole_number("batch_size", batch_size, minimum=1)
        indices = draw_indices(labels, indices_of_classes(self.labels, self.num_classes), rng)
        requests = tf.data.Dataset.from_tensor_slices((indices, rng.random((len(labels), VARIATES))))
        return (images for images, _ in self._augmented(requests, batch_size))

    def draw(self, labels, rng):
        """All that :meth:`draw_batches` gives, in one array."""
        return np.concatenate([np.zeros((0, *self.image_shape), np.float32), *self.draw_batches(labels, rng, 256)])

    def _source(self):
        if self.images.ndim == 1 and self.images.dtype.kind in "OU":
            if self.cache_directory is None:
                return file_loader(self.images), 3
            return cached_loader(self.images, self.cache_directory, self.augmentation.resize), 3
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(
                "labelled_images.images must be paths of shape (N,) or uint8 of shape (N, H, W, C), got dtype "
                f"{self.images.dtype} and shape {self.images.shape}."
            )
        if self.cache_directory is not None:
            raise ValueError("cache_directory is for images in files, got an array: leave it out.")
        return array_loader(self.images), self.images.shape[3]

    def _augmented(self, requests, batch_size):
        """Iterator over batches of images and labels for a tf.data.Dataset of indices and variates."""
        batches = parallel_batches(requests, self._example, batch_size, self.parallel_calls)
        for wanted, used, images in batches.as_numpy_iterator():
            for index in wanted[wanted != used]:
                self._skip(index, none_left=used[wanted == index][0] < 0)
            yield images, self.labels[wanted]

    def _evaluated(self, batch_size):
        done = 0
        requests = tf.data.Dataset.range(len(self))
        batches = parallel_batches(requests, self._middle_of, batch_size, self.parallel_calls)
        try:
            for images in batches.as_numpy_iterator():
                yield images
                done += len(images)
        except tf.errors.OpError:
            reasons = {index: self._why_unreadable(index) for index in range(done, min(done + batch_size, len(self)))}
            found = [f"{self._name(index)}: {reason}" for index, reason in reasons.items() if reason]
            if not found:
                raise
            raise UserError("images that cannot be decoded: " + "; ".join(found)) from None

    def _window(self, index, variates):
        pixels = self._load(index, lambda *size: training_window(self.augmentation, *size, variates))
        image = mirrored(resized(pixels, self.augmentation.crop), self.augmentation, variates)
        return tf.ensure_shape(image, self.image_shape)

    def _middle(self, index):
        pixels = self._load(index, lambda *size: evaluation_window(self.augmentation, *size))
        return tf.ensure_shape(resized(pixels, self.augmentation.crop), self.image_shape)

    def _skip(self, index, none_left):
        name, of_class = self._name(index), self.class_names[self.labels[index]]
        if none_left:
            raise UserError(
                f"no image of class {of_class} can be decoded; {name}: {self._why_unreadable(index)}; mend the files, "
                "or leave the class out"
            )
        if name not in self.skipped:
            warnings.warn(
                f"{name} is skipped, and another image of class {of_class} taken: {self._why_unreadable(index)}",
                stacklevel=3,
            )
        self.skipped[name] += 1

    def _name(self, index):
        return str(self.images[index])

    def _why_unreadable(self, index):
        """None if it is readable."""
        try:
            self._middle(tf.constant(index, tf.int64))
        except (tf.errors.OpError, OSError, ValueError) as error:
            return why_undecodable(self._name(index), error)
