"""Generalised mean pooling with a trainable exponent."""

from tensorflow import keras

from gsp_tf.ops.checks import check_choice, check_number
from gsp_tf.pooling.exponent import LOWEST_EXPONENT, exponent_weight, positive_exponent
from gsp_tf.pooling.generalized_mean import generalized_mean
from gsp_tf.pooling.local_features import feature_dim
from gsp_tf.pooling.pooling_layer import PoolingLayer


@keras.utils.register_keras_serializable("gsp_tf")
class GeMPooling(PoolingLayer):
    """Generalised mean pooling (GeM, the GSP paper's GeMean), between average and maximum:

        g = ((1/n) Σ_j max(f_j, 1e-6)^p)^(1/p)   per channel

    p = 1 is global average pooling and p → ∞ tends to global max pooling, both of features that are not negative:
    those below 1e-6 count as 1e-6 and have no gradient, so a map of zeros pools to 1e-6. The maximum is divided out
    first, and neither huge features nor a large p overflow. Source: Radenović, Tolias and Chum, "Fine-tuning CNN Image
    Retrieval with No Human Annotation", TPAMI 2019 (arXiv 2018), equation (3).

    The trainable weight is ``raw_p``, with p = 0.01 + log(1 + exp(raw_p)): p stays positive whatever the optimiser
    does, and above 3 a step moves p nearly as it moves the weight.

    Args:
        p: exponent > 0.01 at the start.
        trainable: whether p is trained. It is a weight of the layer either way.
        per_channel: whether every channel has its own p.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs, mask: as in :class:`PoolingLayer`. A sample without any valid feature pools to zeros.

    Returns:
        (B, d), in the layer's compute dtype.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> import tensorflow as tf
    >>> pooled = GeMPooling(p=3.0)(tf.constant([[[0.0, 2.0], [2.0, 2.0]]]))
    >>> pooled.numpy().round(3).tolist()
    [[1.5870000123977661, 2.0]]
    """

    def __init__(self, p=3.0, trainable=True, per_channel=False, data_format=None, **kwargs):
        super().__init__(data_format=data_format, trainable=trainable, **kwargs)
        self.p = check_number("p", p, low=LOWEST_EXPONENT, low_open=True)
        self.per_channel = check_choice("per_channel", per_channel, (False, True))

    def build(self, input_shape):
        dim = feature_dim(input_shape, self.data_format)
        self.raw_p = exponent_weight(self, self.p, shape=(dim,) if self.per_channel else ())
        super().build(input_shape)

    def pool(self, features, valid):
        return generalized_mean(features, positive_exponent(self.raw_p, features.dtype), valid)

    def get_config(self):
        return {**super().get_config(), "p": self.p, "per_channel": self.per_channel}
