"""Data sets, samplers and batches."""

from gsp_tf.data.augmentation import Augmentation
from gsp_tf.data.batches import training_batches
from gsp_tf.data.cifar_collage import CifarCollage
from gsp_tf.data.class_sampler import ClassSampler
from gsp_tf.data.digits import PARTS, digit_images, digit_indices
from gsp_tf.data.digits_collage import DigitsCollage
from gsp_tf.data.digits_mixture import DigitsMixture
from gsp_tf.data.image_dataset import ImageDataset
from gsp_tf.data.image_sampler import ImageSampler
from gsp_tf.data.labelled_images import LabelledImages
from gsp_tf.data.tfrecord_cache import cached_loader

DATASETS = {"digits_mixture": DigitsMixture, "digits_collage": DigitsCollage, "cifar_collage": CifarCollage}

__all__ = [
    "DATASETS",
    "PARTS",
    "Augmentation",
    "CifarCollage",
    "ClassSampler",
    "DigitsCollage",
    "DigitsMixture",
    "ImageDataset",
    "ImageSampler",
    "LabelledImages",
    "cached_loader",
    "digit_images",
    "digit_indices",
    "training_batches",
]
