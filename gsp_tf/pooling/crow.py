"""Cross-dimensional weighting."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.distances import guarded_sqrt
from gsp_tf.ops.normalization import l2_normalize
from gsp_tf.pooling.local_features import masked_mean
from gsp_tf.pooling.pooling_layer import PoolingLayer

# Keeps the logarithm finite for a channel that is nowhere active.
EPSILON = 1e-6


@keras.utils.register_keras_serializable("gsp_tf")
class CroWPooling(PoolingLayer):
    """Cross-dimensional weighting (CroW): a sum weighted by where much is active and by which channels seldom are.

    With the activations r = max(f, 0), the places j and the d channels k,

        S_j = Σ_k r_jk,                α_j = (S_j / ‖S‖₂)^(1/2),
        Q_k = (1/n) Σ_j [r_jk > 0],    β_k = log((d ε + Σ_l Q_l) / (ε + Q_k)),  ε = 1e-6,
        g_k = β_k Σ_j α_j f_jk

    The paper's features come from a ReLU, where r = f. For features of any sign the weights are those of the
    activations, and the features themselves are summed with their signs. A place without activation has α = 0; the
    root's infinite slope there is cut off: a share S_j / ‖S‖₂ below rounding counts as 0, without gradient. The
    counts Q have no gradient. With one channel β is 0, and so is g. Source: Kalantidis, Mellina and Osindero,
    "Cross-dimensional Weighting for Aggregated Deep Convolutional Features", ECCV Workshops 2016, sections 3.2, 3.3.

    Args and shapes as in :class:`PoolingLayer`. A sample without any valid feature pools to zeros.

    >>> CroWPooling()(tf.constant([[[1.0, 2.0], [0.0, 0.0], [0.0, 4.0]]])).numpy().round(3).tolist()
    [[0.8510000109672546, 2.0789999961853027]]
    """

    def pool(self, features, valid):
        active = tf.nn.relu(features)
        shares = l2_normalize(tf.reduce_sum(active, axis=2))
        places = guarded_sqrt(shares, scale=tf.ones_like(shares))
        frequency = masked_mean(tf.cast(active > 0, features.dtype), valid) + EPSILON
        channels = tf.math.log(tf.reduce_sum(frequency, axis=1, keepdims=True) / frequency)
        return channels * tf.reduce_sum(places[:, :, tf.newaxis] * features, axis=1)
