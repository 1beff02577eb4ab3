"""BN-Inception, the backbone of the papers' tables."""

from tensorflow import keras

from gsp_tf.backbones.caffe_pooling import ceil_max_pooling, padded_average_pooling
from gsp_tf.backbones.convolution import batch_norm, convolution
from gsp_tf.backbones.network import backbone

# Output channels: 1×1; 3×3 reduction and 3×3; double 3×3 reduction and both 3×3; projection of the pool.
# Modules without 1×1 and projection halve the map.
MODULES = {
    "3a": (64, (64, 64), (64, 96), 32),
    "3b": (64, (64, 96), (64, 96), 64),
    "3c": (None, (128, 160), (64, 96), None),
    "4a": (224, (64, 96), (96, 128), 128),
    "4b": (192, (96, 128), (96, 128), 128),
    "4c": (160, (128, 160), (128, 160), 128),
    "4d": (96, (128, 192), (160, 192), 128),
    "4e": (None, (128, 192), (192, 256), None),
    "5a": (352, (192, 320), (160, 224), 128),
    "5b": (352, (192, 320), (192, 224), 128),
}


def bn_inception(images, weights=None, frozen_batch_norm=True):
    """Map images to the last feature map of BN-Inception, 7×7×1,024 at 224 and at 227 pixels.

    This is Inception v2 as in Caffe: every convolution has a bias and a batch-norm, with ε 1e-5, and ReLU after it.
    Layers are named as the tensors of the converted Caffe checkpoint: ``conv1_7x7_s2``, ``conv1_7x7_s2_bn``,
    ``inception_3a_1x1``, … Its first convolution takes the channels in the order **blue, green, red**, 0 to 255, minus
    the mean: ``preprocess(images, "caffe_bgr")``. Weights are loaded as they are, and are not turned to RGB.

    Args:
        images: (B, H, W, 3) preprocessed tensor, or the (H, W, 3) shape of one; H and W may be None. They are
            32k − 1 to 32k + 6 pixels: at others 3c or 4e halves an odd map, by the convolutions to one row more than by
            the pool.
        weights: path of a ``.pth``, ``.npz``, ``.h5`` or ``.keras`` file; random weights by default.
        frozen_batch_norm: whether batch-norm keeps its statistics, scale and offset, as in the papers.

    Returns:
        the (B, H/32, W/32, 1024) feature map, rounded up; for a shape the ``keras.Model`` from images to it.

    Raises:
        ValueError: for a side that does not fit.
        UserError: see :func:`load_weights`.

    >>> tuple(bn_inception((227, 227, 3)).output.shape[1:])
    (7, 7, 1024)

    Source: Ioffe & Szegedy 2015, fig. 5, in the form of the Caffe model.
    """
    return backbone(_features, images, "bn_inception", weights, frozen_batch_norm)


def _features(images):
    if any(side is not None and (side + 1) % 32 > 7 for side in images.shape[1:3]):
        raise ValueError(
            "images of bn_inception must have sides of 32k − 1 to 32k + 6 pixels, such as 224 or 227; got "
            f"{tuple(images.shape[1:3])}"
        )
    features = _unit(images, 64, 7, "conv1_7x7_s2", strides=2)
    features = ceil_max_pooling(features, "pool1_3x3_s2")
    features = _unit(features, 64, 1, "conv2_3x3_reduce")
    features = _unit(features, 192, 3, "conv2_3x3")
    features = ceil_max_pooling(features, "pool2_3x3_s2")
    for name, widths in MODULES.items():
        features = _module(features, f"inception_{name}", *widths)
    return features


def _module(features, name, plain, triple, double, projection):
    strides = 1 if plain else 2
    branches = []
    if plain:
        branches.append(_unit(features, plain, 1, f"{name}_1x1"))
    branch = _unit(features, triple[0], 1, f"{name}_3x3_reduce")
    branches.append(_unit(branch, triple[1], 3, f"{name}_3x3", strides))
    branch = _unit(features, double[0], 1, f"{name}_double_3x3_reduce")
    branch = _unit(branch, double[1], 3, f"{name}_double_3x3_1")
    branches.append(_unit(branch, double[1], 3, f"{name}_double_3x3_2", strides))
    if not plain:
        pooled = ceil_max_pooling(features, f"{name}_pool")
    elif name == "inception_5b":
        pooled = keras.layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(features)
    else:
        pooled = padded_average_pooling(features, f"{name}_pool")
    branches.append(_unit(pooled, projection, 1, f"{name}_pool_proj") if projection else pooled)
    return keras.layers.Concatenate(name=f"{name}_output")(branches)


def _unit(features, filters, size, name, strides=1):
    features = convolution(features, filters, size, strides, name=name)
    features = batch_norm(features, 1e-5, f"{name}_bn")
    return keras.layers.ReLU(name=f"{name}_relu")(features)
