"""Readers of published data sets and of folders of images, by the name that a config gives."""

from gsp_tf.data.readers import cars196, cifar, cub, image_folder, inshop, mnist, sop
from gsp_tf.data.readers.cars196 import read_cars196
from gsp_tf.data.readers.cifar import read_cifar10, read_cifar100, read_cifar100_super_classes
from gsp_tf.data.readers.cub import read_cub
from gsp_tf.data.readers.image_folder import read_folder
from gsp_tf.data.readers.inshop import read_inshop
from gsp_tf.data.readers.mnist import read_mnist
from gsp_tf.data.readers.sop import read_sop

READERS = {
    "cub": read_cub,
    "cars196": read_cars196,
    "sop": read_sop,
    "inshop": read_inshop,
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "mnist": read_mnist,
    "folder": read_folder,
}

ARCHIVES = {
    "cub": cub.ARCHIVE,
    "cars196": cars196.ARCHIVE,
    "sop": sop.ARCHIVE,
    "inshop": inshop.ARCHIVE,
    "cifar10": cifar.ARCHIVE_10,
    "cifar100": cifar.ARCHIVE_100,
    "mnist": mnist.ARCHIVE,
    "folder": image_folder.ARCHIVE,
}

__all__ = [
    "ARCHIVES",
    "READERS",
    "read_cars196",
    "read_cifar10",
    "read_cifar100",
    "read_cifar100_super_classes",
    "read_cub",
    "read_folder",
    "read_inshop",
    "read_mnist",
    "read_sop",
]
