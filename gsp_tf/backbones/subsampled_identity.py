"""The shortcut without parameters of the CIFAR residual network."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count


@keras.utils.register_keras_serializable("gsp_tf")
class SubsampledIdentity(keras.layers.Layer):
    """Every ``strides``-th row and column of a map (B, H, W, C), with channels of zeros added up to ``channels``.

    Args:
        channels: of the output, at least C.
        strides: step in rows and columns.
        **kwargs: of ``keras.layers.Layer``.

    Raises:
        ValueError: if the map has more channels than the output.

    >>> SubsampledIdentity(3, 2)(tf.constant([[[[1.0], [2.0], [3.0]]]])).numpy().tolist()
    [[[[1.0, 0.0, 0.0], [3.0, 0.0, 0.0]]]]

    Source: He et al. 2016, sec. 4.1, option A.
    """

    def __init__(self, channels, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.channels = check_count("channels", channels)
        self.strides = check_count("strides", strides)

    def call(self, inputs):
        added = self.channels - inputs.shape[-1]
        if added < 0:
            raise ValueError(
                f"channels must be at least {inputs.shape[-1]}, the channels of the map; got {self.channels}"
            )
        return tf.pad(inputs[:, :: self.strides, :: self.strides], [[0, 0], [0, 0], [0, 0], [0, added]])

    def compute_output_shape(self, input_shape):
        sizes = [None if size is None else -(-size // self.strides) for size in input_shape[1:3]]
        return (input_shape[0], *sizes, self.channels)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "strides": self.strides}
