"""Data sets, samplers and batches, in NumPy."""

from gsp_tf.data.batches import training_batches
from gsp_tf.data.class_sampler import ClassSampler
from gsp_tf.data.digits import PARTS, digit_images, digit_indices
from gsp_tf.data.digits_collage import DigitsCollage
from gsp_tf.data.digits_mixture import DigitsMixture

DATASETS = {"digits_mixture": DigitsMixture, "digits_collage": DigitsCollage}

__all__ = [
    "DATASETS",
    "PARTS",
    "ClassSampler",
    "DigitsCollage",
    "DigitsMixture",
    "digit_images",
    "digit_indices",
    "training_batches",
]
