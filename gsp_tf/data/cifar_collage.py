"""Cifar Collage: a class is what one tile of four shows, among background."""

import functools

import numpy as np

from gsp_tf.data.checks import check_labels, check_whole_number
from gsp_tf.data.digits import check_part
from gsp_tf.data.image_sampler import draw_indices
from gsp_tf.data.readers.cifar import SIZE, read_cifar100, read_cifar100_super_classes
from gsp_tf.data.stitched_images import StitchedImages
from gsp_tf.data.stitching import stitch
from gsp_tf.errors import UserError

BACKGROUND = ("flowers", "large_man-made_outdoor_things", "large_natural_outdoor_scenes", "trees")
# Of the five sub-classes of a super-class, in the order of their names.
SUB_CLASSES = {"train": slice(0, 2), "validation": slice(2, 3), "test": slice(3, 5)}
NUM_SUB_CLASSES = 5
# The network that CIFAR-100's training images pretrain has seen none of the images that evaluate it here.
OFFICIAL_PARTS = {"train": "train", "validation": "test", "test": "test"}
GRID_SIZE = 2


class CifarCollage(StitchedImages):
    """64 x 64 images of 2 x 2 images of CIFAR-100: one of a class, in a random place, and three of background.

    A class is one of 16 of CIFAR-100's 20 super-classes; the other four are the background: flowers, large man-made
    outdoor things, large natural outdoor scenes, and trees. Of the five sub-classes of each super-class, in the order
    of their names, "train" shows the first two, "validation" the third and "test" the last two. So all parts have the
    same 16 classes, and no part shows what another does, neither as a class nor as background: at test time a class
    has to be recognised by sub-classes never seen, among background never seen.

    The images of "train" are CIFAR-100's training images; those of "validation" and "test" are its test images, for
    the papers pretrain the network to classify the training images of all sub-classes. Which of the two the papers
    took, they do not say.

    Of the fixed images each shows another image of its class. Batches are drawn fresh; a batch repeats no image of a
    class as long as there are others.

    Args:
        part: "train", "validation" or "test".
        path: of CIFAR-100, as for `gsp_tf.data.readers.read_cifar100`.
        background: whether there is any. Without it the data set is the papers' "distilled" one: 32 x 32 images of
            the same classes, each an image of CIFAR-100 as it is, as in the official code.
        images_per_class: number of images a class of `images_and_labels`; by default as many as the class has images,
            which is 1,000 in "train", 100 in "validation" and 200 in "test".
        allow_partial: accept other counts of images than the published ones.

    Attributes:
        classes: tuple of the names of the sub-classes that each class shows in this part.
        class_names: names of the super-classes, in alphabetical order.
        background_classes: names of the sub-classes that the background shows in this part; empty without one.

    Raises:
        ValueError: an unknown part, or a number out of range.
        UserError: files that are missing or hold something else, or a sub-class without an image.

    Example:
        >>> import tempfile
        >>> from gsp_tf.data.mini import make_mini
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     make_mini("cifar100", folder, images_per_class=2)
        ...     dataset = CifarCollage("test", folder, allow_partial=True)
        >>> dataset.num_classes, dataset.image_shape, dataset.class_names[1]
        (16, (64, 64, 3), 'fish')
        >>> dataset.draw([0, 0, 1], np.random.default_rng(0)).shape
        (3, 64, 64, 3)

    Source: GSP paper, supplement, section 2.2; what a class is, the background and the last two sub-classes are as in
    its official code.
    """

    name = "cifar_collage"

    def __init__(
        self,
        part: str,
        path,
        background: bool = True,
        images_per_class: int | None = None,
        allow_partial: bool = False,
    ):
        self.part = check_part(part)
        if not isinstance(background, bool):
            raise ValueError(f"background must be True, or False for the distilled images, got {background!r}.")
        self.background = background
        source, sub_classes = _read(str(path), bool(allow_partial))
        shown = {super_class: names[SUB_CLASSES[part]] for super_class, names in sub_classes.items()}
        self.class_names = tuple(super_class for super_class in shown if super_class not in BACKGROUND)
        self.classes = tuple(shown[super_class] for super_class in self.class_names)
        self.background_classes = sum((shown[super_class] for super_class in BACKGROUND), ()) if background else ()
        self.num_classes = len(self.classes)
        side = GRID_SIZE * SIZE if background else SIZE
        self.image_shape = (side, side, 3)
        official = OFFICIAL_PARTS[part]
        where = f"{path}: the official part {official}"
        self._images = source[official].images
        self._members = [_images_of(source[official], names, where) for names in self.classes]
        self._background = _images_of(source[official], self.background_classes, where)
        counts = np.array([len(members) for members in self._members])
        self.images_per_class = counts
        if images_per_class is not None:
            self.images_per_class = check_whole_number("images_per_class", images_per_class, minimum=1)
            if images_per_class > counts.min():
                raise ValueError(
                    f"images_per_class must be at most {counts.min()}, the images of the smallest class of {part}: "
                    f"two that show the same one would be found by that; got {images_per_class}."
                )

    def draw(self, labels, rng: np.random.Generator) -> np.ndarray:
        labels = check_labels(labels, self.num_classes)
        tiles = draw_indices(labels, self._members, rng)[:, np.newaxis]
        if self.background:
            others = rng.choice(self._background, (len(labels), GRID_SIZE**2 - 1))
            tiles = rng.permuted(np.concatenate([tiles, others], axis=1), axis=1)
        images = stitch(self._images[tiles], rows=GRID_SIZE if self.background else 1)
        return images.astype(np.float32) / 255


@functools.lru_cache(maxsize=1)
def _read(path, allow_partial):
    """The official parts, and of every super-class the names of its sub-classes; three parts come from one reading."""
    sub_classes = {}
    for name, super_class in sorted(read_cifar100_super_classes(path).items()):
        sub_classes.setdefault(super_class, []).append(name)
    wrong = [f"the super-class {super_class} has {len(names)} sub-classes"
             for super_class, names in sub_classes.items() if len(names) != NUM_SUB_CLASSES]
    wrong += [f"there is no super-class {name}" for name in BACKGROUND if name not in sub_classes]
    if wrong:
        raise UserError(
            f"{path}: {wrong[0]}; a collage takes the official super-classes of {NUM_SUB_CLASSES} sub-classes each: "
            "download CIFAR-100 again"
        )
    return read_cifar100(path, allow_partial), {name: tuple(sub_classes[name]) for name in sorted(sub_classes)}


def _images_of(labelled, names, where):
    """Places of the images of these sub-classes, or a `UserError` for one that has none."""
    labels = [labelled.class_names.index(name) for name in names]
    absent = sorted(set(labels) - set(labelled.labels.tolist()))
    if absent:
        raise UserError(f"{where} has no image of {labelled.class_names[absent[0]]}, which a collage shows: download "
                        "CIFAR-100 again")
    return np.flatnonzero(np.isin(labelled.labels, labels))
