"""Small data sets of generated images in the official layouts, for tests, documents and first steps."""

from pathlib import Path

from gsp_tf.data.checks import check_whole_number
from gsp_tf.data.mini.cars196 import write_cars196, write_cars196_devkit
from gsp_tf.data.mini.cifar import write_cifar10, write_cifar100
from gsp_tf.data.mini.cub import write_cub
from gsp_tf.data.mini.image_folder import write_folder
from gsp_tf.data.mini.inshop import write_inshop
from gsp_tf.data.mini.mnist import write_mnist
from gsp_tf.data.mini.sop import write_sop
from gsp_tf.errors import UserError

MINIS = {
    "cub": write_cub,
    "cars196": write_cars196,
    "cars196_devkit": write_cars196_devkit,
    "sop": write_sop,
    "inshop": write_inshop,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "mnist": write_mnist,
    "folder": write_folder,
}


def make_mini(name: str, path, classes: int = 12, images_per_class: int = 6) -> None:
    """Writes a small data set of generated images exactly as the official archive lies on disk once extracted.

    The readers take it with `allow_partial=True`. The same arguments give the same images.

    Args:
        name: one of `MINIS`.
        path: folder to write, which must not exist or be empty.
        classes: number of classes, at least 2; CIFAR and MNIST always have all of theirs.
        images_per_class: number of images of each class, at least 2; in each batch of CIFAR and part of MNIST.

    Raises:
        UserError: an unknown name, or a folder that holds something.
        ValueError: a number out of range.
    """
    classes = check_whole_number("classes", classes, minimum=2)
    images_per_class = check_whole_number("images_per_class", images_per_class, minimum=2)
    if name not in MINIS:
        raise UserError(f"there is no small data set {name!r}; there are {', '.join(MINIS)}")
    path = Path(path).expanduser()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists and is not an empty folder; give another, or delete it first")
    MINIS[name](path, classes, images_per_class)


__all__ = ["MINIS", "make_mini"]
