"""Average pooling after channel and spatial attention."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count, check_rank
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.local_features import feature_dim, masked_max, masked_mean, unflatten_weights
from gsp_tf.pooling.pooling_layer import PoolingLayer

MAPS = (
    "(B, H, W, d), or (B, d, H, W) with data_format='channels_first', for its convolution over places: tokens "
    "and volumes have no such map"
)


@keras.utils.register_keras_serializable("gsp_tf")
class CBAMPooling(PoolingLayer):
    """Average pooling after the convolutional block attention module: weighted channels, then weighted places.

        w = σ(MLP(mean_j f_j) + MLP(max_j f_j)),   MLP(x) = W₂ᵀ relu(W₁ᵀ x + b₁) + b₂      (d,), one MLP for both
        a = σ(K ∗ [mean_k w_k f_jk, max_k w_k f_jk] + c)                                    (H, W), K of k × k × 2
        g = (1/n) Σ_j a_j w ⊙ f_j

    The convolution sees which places are neighbours: unlike the other poolings, this one is not invariant to the
    order of the places, and takes maps (B, H, W, d) only. Beyond the border, and where a mask says so, it sees zeros.
    The batch normalisation that the authors' code puts after the convolution is left out. Source: Woo, Park, Lee and
    Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, equations (1) to (3).

    Args:
        reduction: the MLP's hidden layer has max(1, d // reduction) units; 16 in the paper.
        kernel_size: k, an odd number; 7 in the paper.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs: floating-point local features (B, H, W, d), or (B, d, H, W) with channels first. H and W may be
            unknown.
        mask: (B, H, W) or (B, H·W): true for the places that take part. A sample without any pools to zeros.

    Returns:
        (B, d), in the layer's compute dtype.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> CBAMPooling(reduction=4, kernel_size=3)(tf.random.normal((2, 7, 7, 16))).shape
    TensorShape([2, 16])
    """

    def __init__(self, reduction=16, kernel_size=7, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.reduction = check_count("reduction", reduction)
        self.kernel_size = check_count("kernel_size", kernel_size)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that the kernel has a centre; got {kernel_size!r}")

    def build(self, input_shape):
        # Keras 3 does not run ``call`` on a symbolic input whose output shape it knows.
        check_rank("inputs", tf.TensorSpec(input_shape), (4,), MAPS)
        dim = feature_dim(input_shape, self.data_format)
        hidden = max(1, dim // self.reduction)
        for name, shape, initializer in [
            ("hidden_kernel", (dim, hidden), "glorot_uniform"), ("hidden_bias", (hidden,), "zeros"),
            ("channel_kernel", (hidden, dim), "glorot_uniform"), ("channel_bias", (dim,), "zeros"),
            ("place_kernel", (self.kernel_size, self.kernel_size, 2, 1), "glorot_uniform"),
            ("place_bias", (1,), "zeros"),
        ]:
            setattr(self, name, full_precision_weight(self, name=name, shape=shape, initializer=initializer))
        super().build(input_shape)

    def call(self, inputs, mask=None):
        inputs = tf.convert_to_tensor(inputs)
        check_rank("inputs", inputs, (4,), MAPS)
        features, valid = self.exact_features(inputs, mask)
        features *= self._channel_weights(features, valid)[:, tf.newaxis]
        summaries = [tf.reduce_mean(features, axis=2), tf.reduce_max(features, axis=2)]
        maps = tf.stack([unflatten_weights(x, inputs, self.data_format) for x in summaries], axis=-1)
        kernel, bias = tf.cast(self.place_kernel, features.dtype), tf.cast(self.place_bias, features.dtype)
        scores = tf.nn.conv2d(maps, kernel, strides=1, padding="SAME") + bias
        places = tf.reshape(tf.sigmoid(scores), tf.shape(features[:, :, :1]))
        return tf.cast(masked_mean(places * features, valid), inputs.dtype)

    def _channel_weights(self, features, valid):
        """Weights (B, d) in (0, 1) from the average and the maximum over the places."""
        hidden_kernel, hidden_bias, channel_kernel, channel_bias = (
            tf.cast(weight, features.dtype)
            for weight in (self.hidden_kernel, self.hidden_bias, self.channel_kernel, self.channel_bias)
        )
        both = tf.stack([masked_mean(features, valid), masked_max(features, valid)])
        hidden = tf.nn.relu(tf.tensordot(both, hidden_kernel, axes=1) + hidden_bias)
        return tf.sigmoid(tf.reduce_sum(tf.tensordot(hidden, channel_kernel, axes=1) + channel_bias, axis=0))

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction, "kernel_size": self.kernel_size}
