"""Convolution and batch-norm as Caffe and PyTorch pad and count."""

from tensorflow import keras


def convolution(features, filters, size, strides=1, use_bias=True, name=None):
    """Convolve with ⌊size/2⌋ zeros on every side.

    Keras's "same" agrees with stride 1 only: with stride 2 on an even map it pads the far side alone, which moves every
    window by a pixel.

    Args:
        features: (B, H, W, C) Keras tensor.
        filters: output channels.
        size: side of the odd square window.
        strides: step of the window.
        use_bias: whether an offset is added.
        name: of the layer.

    Returns:
        (B, ⌈H/strides⌉, ⌈W/strides⌉, filters).

    >>> tuple(convolution(keras.Input((8, 9, 3)), 4, 3, strides=2).shape[1:])
    (4, 5, 4)
    """
    padding = "same"
    if size > 1 and strides > 1:
        features = keras.layers.ZeroPadding2D(size // 2)(features)
        padding = "valid"
    return keras.layers.Conv2D(
        filters, size, strides, padding, use_bias=use_bias, kernel_initializer="he_normal", name=name
    )(features)


def batch_norm(features, epsilon, name=None):
    """Normalise channels by statistics over the global batch, so that several replicas give one replica's result.

    >>> tuple(batch_norm(keras.Input((8, 8, 3)), 1e-5).shape[1:])
    (8, 8, 3)
    """
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=epsilon, synchronized=True, name=name)(features)
