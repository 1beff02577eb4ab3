"""Generalized sum pooling."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_choice, check_count, check_number, solver_dtype
from gsp_tf.ops.distances import pairwise_distances
from gsp_tf.ops.normalization import clip_to_unit_ball
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.exponent import exponent_weight, positive_exponent
from gsp_tf.pooling.generalized_mean import generalized_mean
from gsp_tf.pooling.local_features import (
    check_data_format,
    feature_dim,
    flatten_features,
    masked_max,
    unflatten_weights,
    valid_count,
)
from gsp_tf.transport import partial_transport

# Where the exponent of the generalised mean starts, as in GeM.
GEM_EXPONENT = 3.0


@keras.utils.register_keras_serializable("gsp_tf")
class GSPLayer(keras.layers.Layer):
    """Generalized sum pooling: a drop-in replacement for global average pooling that learns what to keep.

    The local features f_j of a sample carry mass 1/n each. The share μ of that mass is transported to m trainable
    prototypes ω_i at the least smoothed cost (problem P2, :func:`gsp_tf.transport.partial_transport`), with

        c_ij = ‖ω̄_i − f̄_j‖₂,  ū = u / max(1, ‖u‖₂),

    so features near a prototype are kept and the rest is left behind. With the plan π, the layer gives

        pooled     g = Σ_j p_j f_j        (B, d)   with the un-normalised features f
        weights    p_j = Σ_i π_ij / μ     (B, …)   sum to 1, 0 ≤ p_j ≤ 1/(nμ)
        histogram  z_i = Σ_j π_ij / μ     (B, m)   sums to 1: how much of the sample each prototype received

    μ = 1 gives p_j = 1/n exactly: global average pooling (claim 4.1). Source: Gurbuz, Sener and Alatan,
    "Generalized Sum Pooling for Metric Learning", ICCV 2023, (P2), Prop. 4.1 and 4.2.

    Args:
        num_prototypes: m ≥ 1. The paper uses 64 for about 100 classes, 128 for thousands.
        mu: transport ratio μ in (0, 1]: the share of the image that is taken to be worth keeping. It lives in the
            non-trainable scalar weight ``layer.mu`` that a callback may assign, for example 1 while warming up.
        epsilon: sharpness ε > 0 of the selection; large is a hard choice of the top μ, small tends to the average.
            The optimal transport literature calls the inverse of this ε. The paper uses 5 for pair losses, 0.5 for
            proxy losses.
        reduce: "sum" for g above; "sum+max" for g + max_j f_j (the conventional protocol's GSP + GMP); "max" for
            max_j n p_j f_j (GMP+GSP of the paper's table 4); "gem" for the generalised mean of max(n p_j f_j, 1e-6)
            with a trainable exponent that starts at 3 (GeMean+GSP). With μ = 1 the last three are
            :class:`GAPGMPPooling`, :class:`GMPPooling` and :class:`GeMPooling`.
        prototype_initializer: Keras initialiser of the (m, d) prototypes. :class:`gsp_tf.PrototypeInitializer` sets
            them from features instead, which matters at the start.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs: floating-point local features (B, n, d), (B, H, W, d) or (B, D, H, W, d); channels first where
            ``data_format`` says so. Sizes but d may be unknown.
        mask: (B, n), or of the spatial shape: true for the features that take part. Keras masks arrive here by
            themselves. A sample without any pools to zeros.
        return_histogram, return_weights: add z, and p in the input's spatial shape, to the result, in this order.

    Returns:
        g, or a tuple ``(g, z)``, ``(g, p)`` or ``(g, z, p)``. Half precision is computed in float32 and returned in
        the layer's compute dtype.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> pool = GSPLayer(num_prototypes=8, mu=0.3, epsilon=5.0)
    >>> pooled, histogram, weights = pool(tf.random.normal((2, 7, 7, 16)), return_histogram=True, return_weights=True)
    >>> pooled.shape, histogram.shape, weights.shape
    (TensorShape([2, 16]), TensorShape([2, 8]), TensorShape([2, 7, 7]))
    """

    def __init__(self, num_prototypes, mu=0.3, epsilon=5.0, reduce="sum", prototype_initializer="glorot_uniform",
                 data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.num_prototypes = check_count("num_prototypes", num_prototypes)
        self.transport_ratio = check_number("mu", mu, low=0, high=1, low_open=True)
        self.epsilon = check_number("epsilon", epsilon, low=0, low_open=True)
        self.reduce = check_choice("reduce", reduce, ("sum", "sum+max", "max", "gem"))
        self.prototype_initializer = keras.initializers.get(prototype_initializer)
        self.data_format = check_data_format(data_format)
        self.supports_masking = True

    def build(self, input_shape):
        shape = (self.num_prototypes, feature_dim(input_shape, self.data_format))
        self.prototypes = full_precision_weight(
            self, name="prototypes", shape=shape, initializer=self.prototype_initializer
        )
        self.mu = full_precision_weight(
            self, name="mu", shape=(), dtype=solver_dtype(self.variable_dtype).name, trainable=False,
            # Keras 3's Constant passes through float32 on the way to float64.
            initializer=lambda shape, dtype=None: tf.constant(self.transport_ratio, dtype, shape),
        )
        if self.reduce == "gem":
            self.raw_p = exponent_weight(self, GEM_EXPONENT)
        super().build(input_shape)

    def call(self, inputs, mask=None, return_histogram=False, return_weights=False):
        inputs = tf.convert_to_tensor(inputs)
        local, valid = flatten_features(inputs, mask, self.data_format)
        features = tf.cast(local, solver_dtype(local.dtype))
        if valid is not None:
            # Padding may hold anything, NaN included; nothing times zero would remove that.
            features = tf.where(valid[:, :, tf.newaxis], features, tf.zeros_like(features))
        mu = tf.cast(self.mu, features.dtype)
        prototypes = clip_to_unit_ball(tf.cast(self.prototypes, features.dtype))
        cost = pairwise_distances(prototypes, clip_to_unit_ball(features))
        residual, plan = partial_transport(cost, mu, self.epsilon, valid)
        count = valid_count(features, valid)
        weights = (1 / count - residual) / mu
        if valid is not None:
            weights = tf.where(valid, weights, tf.zeros_like(weights))
        results = [tf.cast(self._reduce(features, weights, count, valid), local.dtype)]
        if return_histogram:
            results.append(tf.cast(tf.reduce_sum(plan, axis=2) / mu, local.dtype))
        if return_weights:
            results.append(unflatten_weights(tf.cast(weights, local.dtype), inputs, self.data_format))
        return results[0] if len(results) == 1 else tuple(results)

    def _reduce(self, features, weights, count, valid):
        """Pool (B, n, d) features with (B, n) weights to (B, d), as ``reduce`` says."""
        if self.reduce in ("sum", "sum+max"):
            pooled = tf.matmul(weights[:, tf.newaxis], features)[:, 0]
            return pooled if self.reduce == "sum" else pooled + masked_max(features, valid)
        weighted = (count * weights)[:, :, tf.newaxis] * features
        if self.reduce == "max":
            return masked_max(weighted, valid)
        return generalized_mean(weighted, positive_exponent(self.raw_p, features.dtype), valid)

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "num_prototypes": self.num_prototypes,
            "mu": self.transport_ratio,
            "epsilon": self.epsilon,
            "reduce": self.reduce,
            "prototype_initializer": keras.initializers.serialize(self.prototype_initializer),
            "data_format": self.data_format,
        }
