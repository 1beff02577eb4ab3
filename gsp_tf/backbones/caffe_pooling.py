"""The two poolings that Caffe and Keras count differently."""

from tensorflow import keras


def ceil_max_pooling(features, name=None):
    """Maximum over 3×3 windows with stride 2, no padding, the last window cut off at the border: ⌈(H − 3)/2⌉ + 1 rows.

    One row and one column of zeros at the far side make the whole windows of a padded map just those windows: on an odd
    size no window reaches them, and on an even one they do not change a maximum of ReLU's outputs.

    Args:
        features: (B, H, W, C) Keras tensor without negative values.
        name: of the layer.

    >>> [ceil_max_pooling(keras.Input((size, size, 1))).shape[1] for size in (112, 114, 57, 28)]
    [56, 57, 28, 14]

    Source: Jia et al. 2014 (Caffe), which rounds the size of a pooled map up.
    """
    features = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))(features)
    return keras.layers.MaxPooling2D(3, 2, name=name)(features)


def padded_average_pooling(features, name=None):
    """Average over 3×3 windows with stride 1 and a border of zeros, which counts: the sum is always divided by nine.

    Args:
        features: (B, H, W, C) Keras tensor.
        name: of the layer.

    >>> import tensorflow as tf
    >>> padded_average_pooling(tf.ones((1, 3, 3, 1)) * 9.0)[0, :, :, 0].numpy().round().tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]

    Source: Jia et al. 2014 (Caffe).
    """
    features = keras.layers.ZeroPadding2D(1)(features)
    return keras.layers.AveragePooling2D(3, 1, name=name)(features)
