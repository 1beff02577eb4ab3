"""The residual networks for images of CIFAR's and MNIST's size."""

from tensorflow import keras

from gsp_tf.backbones.convolution import batch_norm, convolution
from gsp_tf.backbones.network import backbone
from gsp_tf.backbones.subsampled_identity import SubsampledIdentity

EPSILON = 1e-5


def resnet20(images, weights=None, frozen_batch_norm=False):
    """Map small images to the last feature map of ResNet20, 64 channels at a stride of 4.

    Three stages of three blocks of two 3×3 convolutions, 16, 32 and 64 channels wide; shortcuts without parameters.

    Args:
        images: (B, H, W, C) tensor, or the (H, W, C) shape of one; H and W may be None.
        weights: path of an ``.npz``, ``.h5`` or ``.keras`` file with this network; random weights by default.
        frozen_batch_norm: whether batch-norm keeps its statistics, scale and offset. By default it does not: this
            network is mostly trained from random weights, whose statistics are nobody's.

    Returns:
        the (B, H/4, W/4, 64) feature map, rounded up; for a shape the ``keras.Model`` from images to it.

    Raises:
        UserError: see :func:`load_weights`.

    >>> tuple(resnet20(keras.Input((32, 32, 3))).shape[1:])
    (8, 8, 64)

    Source: He et al. 2016, sec. 4.2, n = 3, shortcuts of option A.
    """
    return backbone(_features, images, "resnet20", weights, frozen_batch_norm)


def resnet_v2_20(images, weights=None, frozen_batch_norm=False):
    """Map small images to the last feature map of ResNetV2-20, 256 channels at a stride of 4.

    Three stages of two bottlenecks, 64, 128 and 256 channels wide, with batch-norm and ReLU before every convolution,
    as in Keras's example for CIFAR-10; the last batch-norm and ReLU included.

    Args and Raises as in :func:`resnet20`.

    Returns:
        the (B, H/4, W/4, 256) feature map, rounded up; for a shape the ``keras.Model`` from images to it.

    >>> tuple(resnet_v2_20(keras.Input((28, 28, 1))).shape[1:])
    (7, 7, 256)

    Source: He et al. 2016, Identity Mappings in Deep Residual Networks, fig. 4e.
    """
    return backbone(_v2_features, images, "resnet_v2_20", weights, frozen_batch_norm)


def _features(images):
    features = keras.layers.ReLU()(batch_norm(convolution(images, 16, 3, 1, False, "conv"), EPSILON, "bn"))
    for stage, width in enumerate((16, 32, 64), 1):
        for block in range(1, 4):
            name = f"stage{stage}_block{block}"
            strides = 2 if stage > 1 and block == 1 else 1
            shortcut = features
            if strides > 1:
                shortcut = SubsampledIdentity(width, strides, name=f"{name}_shortcut")(features)
            features = convolution(features, width, 3, strides, False, f"{name}_conv1")
            features = keras.layers.ReLU()(batch_norm(features, EPSILON, f"{name}_bn1"))
            features = convolution(features, width, 3, 1, False, f"{name}_conv2")
            features = keras.layers.Add()([shortcut, batch_norm(features, EPSILON, f"{name}_bn2")])
            features = keras.layers.ReLU()(features)
    return features


def _v2_features(images):
    features = keras.layers.ReLU()(batch_norm(convolution(images, 16, 3, name="conv"), EPSILON, "bn"))
    inner = 16
    for stage, outer in enumerate((64, 128, 256), 1):
        for block in range(1, 3):
            features = _v2_block(features, inner, outer, stage, block)
        inner = outer
    return keras.layers.ReLU()(batch_norm(features, EPSILON, "last_bn"))


def _v2_block(features, inner, outer, stage, block):
    name = f"stage{stage}_block{block}"
    strides = 2 if stage > 1 and block == 1 else 1
    shortcut = features
    if block == 1:
        shortcut = convolution(features, outer, 1, strides, name=f"{name}_shortcut")
    # What comes out of the first convolution is normalised and rectified already.
    if (stage, block) != (1, 1):
        features = keras.layers.ReLU()(batch_norm(features, EPSILON, f"{name}_bn1"))
    features = convolution(features, inner, 1, strides, name=f"{name}_conv1")
    features = keras.layers.ReLU()(batch_norm(features, EPSILON, f"{name}_bn2"))
    features = convolution(features, inner, 3, name=f"{name}_conv2")
    features = keras.layers.ReLU()(batch_norm(features, EPSILON, f"{name}_bn3"))
    features = convolution(features, outer, 1, name=f"{name}_conv3")
    return keras.layers.Add()([shortcut, features])
