"""Vector of locally aggregated descriptors, with a trainable soft assignment."""

import math

import numpy as np
import tensorflow as tf
from sklearn.cluster import KMeans
from tensorflow import keras

from gsp_tf.ops.checks import check_number
from gsp_tf.ops.normalization import l2_normalize
from gsp_tf.ops.replicas import as_array
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.ensemble_pooling import EnsemblePooling

# Ratio of the largest to the second largest assignment weight that the default α of `initialize` aims at.
SHARPNESS = 100.0
# A block shorter than this is as good as empty; scaled up, its gradient would leave float32's range.
SHORTEST_BLOCK = 1e-12


@keras.utils.register_keras_serializable("gsp_tf")
class NetVLADPooling(EnsemblePooling):
    """NetVLAD: for every prototype, the direction of the summed residuals of the features assigned to it.

    Trainable assignment weights w_k, biases b_k and centres c_k give

        a_kj = softmax_k(⟨w_k, f_j⟩ + b_k),   V_k = Σ_j a_kj (f_j − c_k),
        g = [V_1/‖V_1‖₂, …, V_m/‖V_m‖₂]        (B, m·width), block after block

    where a block whose residuals vanish is 0. The L2 normalisation of the whole that follows in the paper is left to
    the embedder, and so is the one of the features that may come before (:class:`L2Normalize`). Source: Arandjelović
    et al., "NetVLAD: CNN architecture for weakly supervised place recognition", CVPR 2016, equations (3) and (4) and
    intra-normalisation.

    Args:
        num_prototypes: m ≥ 1, the paper's K. The GSP paper compares 8 of width 16 and 64 of width 128.
        width: features pass a trainable linear map to this dimension first; None takes them as they are.
        prototype_initializer: Keras initialiser of the (m, width) centres; the assignment begins with Glorot's
            uniform weights and biases of 0. :meth:`initialize` sets all of them from features, as the paper does.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs, mask: as in :class:`PoolingLayer`; masked features are assigned to no prototype. A sample without any
            valid feature pools to zeros.

    Returns:
        (B, m·width). The order of the positions makes no difference.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> NetVLADPooling(num_prototypes=8, width=16)(tf.random.normal((2, 7, 7, 32))).shape
    TensorShape([2, 128])
    """

    def __init__(self, num_prototypes, width=None, prototype_initializer="glorot_uniform", data_format=None, **kwargs):
        super().__init__(num_prototypes, width, data_format=data_format, **kwargs)
        self.prototype_initializer = keras.initializers.get(prototype_initializer)

    def build_prototypes(self, width):
        shape = (self.num_prototypes, width)
        self.centers = full_precision_weight(
            self, name="centers", shape=shape, initializer=self.prototype_initializer
        )
        self.assignment = full_precision_weight(
            self, name="assignment", shape=shape, initializer=keras.initializers.GlorotUniform()
        )
        self.bias = full_precision_weight(self, name="bias", shape=shape[:1], initializer=keras.initializers.Zeros())

    def aggregate(self, features, valid):
        centers, assignment, bias = (
            tf.cast(weight, features.dtype) for weight in (self.centers, self.assignment, self.bias)
        )
        shares = tf.nn.softmax(tf.tensordot(features, assignment, axes=[[2], [1]]) + bias)
        if valid is not None:
            shares = tf.where(valid[:, :, tf.newaxis], shares, tf.zeros_like(shares))
        received = tf.matmul(shares, features, transpose_a=True)
        expected = tf.reduce_sum(shares, axis=1)[:, :, tf.newaxis] * centers
        residual = received - expected
        # Where both sums agree to rounding there is no direction, and noise must not be scaled up to length 1.
        length, scale = (tf.reduce_sum(tf.square(x), axis=2, keepdims=True) for x in (residual, expected))
        rounding = 16 * np.finfo(features.dtype.as_numpy_dtype).eps
        distinct = length > tf.maximum(scale * rounding**2, SHORTEST_BLOCK**2)
        return l2_normalize(tf.where(distinct, residual, tf.zeros_like(residual)))

    def initialize(self, features, alpha=None, seed=0):
        """Set centres by k-means and the assignment to match: w_k = 2α c_k, b_k = −α ‖c_k‖₂².

        The assignment is then softmax_k(−α ‖f − c_k‖₂²) (equation 2 of the paper). Builds the layer if need be. With
        ``width``, features are mapped by the present projection first.

        Args:
            features: (N, d) array of local features, N ≥ ``num_prototypes``.
            alpha: α > 0; by default the one at which a feature's largest weight is on average 100 times its second
                largest, as in the paper's supplement: log 100 over the mean gap of the squared distances.
            seed: of k-means.

        Raises:
            ValueError: if ``features`` is no such array, or ``alpha`` is not positive.
        """
        if alpha is not None:
            alpha = check_number("alpha", alpha, low=0, low_open=True)
        features = np.asarray(features)
        if features.ndim != 2 or len(features) < self.num_prototypes:
            raise ValueError(
                f"features must have shape (N, d) with N of at least num_prototypes={self.num_prototypes}; "
                f"got shape {features.shape}"
            )
        if not self.built:
            spatial_last = self.data_format == "channels_first"
            self.build((None, features.shape[1], None) if spatial_last else (None, None, features.shape[1]))
        projected = as_array(self.project(tf.cast(features, self.centers.dtype)))
        found = KMeans(self.num_prototypes, n_init=10, random_state=seed).fit(projected)
        centers = found.cluster_centers_
        if alpha is None:
            alpha = _sharp_alpha(found.transform(projected))
        self.centers.assign(centers)
        self.assignment.assign(2 * alpha * centers)
        self.bias.assign(-alpha * np.sum(np.square(centers), axis=1))

    def get_config(self):
        return {
            **super().get_config(),
            "prototype_initializer": keras.initializers.serialize(self.prototype_initializer),
        }


def _sharp_alpha(distances):
    """The α of an average sharpness of 100, from (N, m) distances; 1 where no two centres differ."""
    if distances.shape[1] == 1:
        return 1.0
    nearest = np.sort(np.square(distances.astype(np.float64)), axis=1)
    gap = np.mean(nearest[:, 1] - nearest[:, 0])
    return float(math.log(SHARPNESS) / gap) if gap > 0 else 1.0
