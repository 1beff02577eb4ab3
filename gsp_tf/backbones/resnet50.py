"""ResNet50 in the two forms that pretrained weights come in."""

from pathlib import Path

from tensorflow import keras

from gsp_tf.backbones.convolution import batch_norm, convolution
from gsp_tf.backbones.network import backbone
from gsp_tf.errors import UserError
from gsp_tf.ops.checks import check_choice

STYLES = ("keras", "torch")
BLOCKS = (3, 4, 6, 3)


def resnet50(images, weights=None, style="keras", frozen_batch_norm=True):
    """Map images to the last feature map of ResNet50, 2,048 channels at a stride of 32.

    Two networks have this name, and weights of one do not give its features in the other:

    =========================  ==========================================  =============================================
    style                      "keras"                                     "torch"
    =========================  ==========================================  =============================================
    network                    ``keras.applications.ResNet50``             torchvision's ``resnet50``
    stride of a bottleneck on  the first 1×1 convolution                   the 3×3 convolution
    bias of convolutions       yes                                         no
    batch-norm's ε             1.001e-5                                    1e-5
    layer names                ``conv2_block1_1_conv``, …                  ``layer1.0.conv1``, …
    images                     ``preprocess(images, "keras_caffe")``: BGR  ``preprocess(images, "torch")``: RGB
    =========================  ==========================================  =============================================

    Weights are loaded as they are: the order of the channels is not changed.

    Args:
        images: (B, H, W, 3) preprocessed tensor, or the (H, W, 3) shape of one; H and W may be None.
        weights: path of Keras's ``.h5`` or ``.keras`` (style "keras"), of torchvision's ``resnet50-*.pth`` (style
            "torch"), or of an ``.npz`` with the tensors of either; random weights by default.
        style: "keras" or "torch".
        frozen_batch_norm: whether batch-norm keeps its statistics, scale and offset, as in the papers.

    Returns:
        the (B, H/32, W/32, 2048) feature map, rounded up; for a shape the ``keras.Model`` from images to it.

    Raises:
        UserError: see :func:`load_weights`; or for a ``.pth`` with style "keras".

    >>> tuple(resnet50((224, 224, 3)).output.shape[1:])
    (7, 7, 2048)

    Source: He et al. 2016, table 1; stride on the 3×3 convolution: torchvision's ResNet v1.5.
    """
    check_choice("style", style, STYLES)
    if weights is not None and style == "keras" and Path(weights).suffix in (".pth", ".pt"):
        raise UserError(f"weights {weights} of PyTorch need style: torch; got style: keras")
    build = _keras_features if style == "keras" else _torch_features
    return backbone(build, images, "resnet50", weights, frozen_batch_norm)


def _keras_features(images):
    features = _stem(images, "conv1_conv", "conv1_bn", True, 1.001e-5)
    for stage, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            name = f"conv{stage + 2}_block{block + 1}"
            names = {part: (f"{name}_{part}_conv", f"{name}_{part}_bn") for part in range(4)}
            strides = (_stride(stage, block), 1)
            features = _bottleneck(features, 64 << stage, strides, block == 0, names, True, 1.001e-5)
    return features


def _torch_features(images):
    features = _stem(images, "conv1", "bn1", False, 1e-5)
    for stage, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            name = f"layer{stage + 1}.{block}"
            names = {part: (f"{name}.conv{part}", f"{name}.bn{part}") for part in range(1, 4)}
            names[0] = (f"{name}.downsample.0", f"{name}.downsample.1")
            strides = (1, _stride(stage, block))
            features = _bottleneck(features, 64 << stage, strides, block == 0, names, False, 1e-5)
    return features


def _stride(stage, block):
    return 2 if stage > 0 and block == 0 else 1


def _stem(images, conv, norm, use_bias, epsilon):
    features = batch_norm(convolution(images, 64, 7, 2, use_bias, conv), epsilon, norm)
    features = keras.layers.ReLU()(features)
    # Zeros are neutral here: nothing that ReLU gives is below them.
    features = keras.layers.ZeroPadding2D(1)(features)
    return keras.layers.MaxPooling2D(3, 2)(features)


def _bottleneck(features, width, strides, projected, names, use_bias, epsilon):
    """1×1, 3×3 and 1×1 convolution beside a shortcut; ``strides`` are those of the first two."""

    def unit(inputs, part, filters, size, step=1):
        conv, norm = names[part]
        return batch_norm(convolution(inputs, filters, size, step, use_bias, conv), epsilon, norm)

    shortcut = features
    if projected:
        shortcut = unit(features, 0, 4 * width, 1, max(strides))
    features = keras.layers.ReLU()(unit(features, 1, width, 1, strides[0]))
    features = keras.layers.ReLU()(unit(features, 2, width, 3, strides[1]))
    features = keras.layers.Add()([shortcut, unit(features, 3, 4 * width, 1)])
    return keras.layers.ReLU()(features)
