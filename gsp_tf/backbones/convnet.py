"""A small convolutional network for small images."""

from tensorflow import keras


def convnet(images, channels=(32, 64, 128)):
    """Map an image tensor to a feature map by 3×3 convolution, batch-norm and ReLU; every block but the first halves.

    Batch-norm statistics are taken over the global batch, so that several replicas give one replica's result.

    Args:
        images: (B, H, W, C) Keras tensor.
        channels: output channels of each block.

    Returns:
        (B, ⌈H/2^(k−1)⌉, ⌈W/2^(k−1)⌉, channels[-1]) for k blocks.

    >>> tuple(convnet(keras.Input((32, 32, 1))).shape[1:])
    (8, 8, 128)
    """
    features = images
    for index, width in enumerate(channels):
        strides = 1 if index == 0 else 2
        features = keras.layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(features)
        features = keras.layers.BatchNormalization(momentum=0.9, synchronized=True)(features)
        features = keras.layers.ReLU()(features)
    return features
