"""Pooling by optimal transport to reference features."""

import math

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count, check_number
from gsp_tf.ops.distances import pairwise_distances
from gsp_tf.ops.normalization import clip_to_unit_ball
from gsp_tf.ops.variables import full_precision_weight
from gsp_tf.pooling.ensemble_pooling import EnsemblePooling


def transport_plan(cost, epsilon, steps, valid=None):
    """Entropic optimal transport between uniform masses, by log-domain Sinkhorn iterations.

    Approaches the minimiser of Σ_ij c_ij π_ij + ε Σ_ij π_ij log π_ij under Σ_j π_ij = 1/m for every i and
    Σ_i π_ij = 1/n for every j. The last projection is on the features' masses 1/n, which therefore hold to rounding
    after any number of steps; the references' masses 1/m are approached. Source: Cuturi, Sinkhorn Distances,
    NeurIPS 2013, algorithm 1, in the log domain.

    Args:
        cost: (B, m, n) float32 or float64.
        epsilon: ε > 0, a float.
        steps: number of iterations, unrolled, at least 1.
        valid: (B, n) booleans, true for the features that have mass, or None for all. A sample without any is
            solved as if it had all.

    Returns:
        The plan π (B, m, n), 0 at features without mass.

    >>> plan = transport_plan(tf.constant([[[0.0, 1.0], [1.0, 0.0]]]), epsilon=0.1, steps=5)
    >>> plan.numpy().round(3).tolist()
    [[[0.5, 0.0], [0.0, 0.5]]]
    """
    if valid is None:
        valid = tf.ones_like(cost[:, 0], tf.bool)
    valid |= ~tf.reduce_any(valid, axis=1, keepdims=True)
    valid = valid[:, tf.newaxis]
    count = tf.reduce_sum(tf.cast(valid, cost.dtype), axis=2, keepdims=True)
    # Far below any cost over ε, and finite: −∞ would have no gradient.
    nothing = tf.constant(cost.dtype.min / 4, cost.dtype)
    scores = tf.where(valid, -cost / tf.constant(epsilon, cost.dtype), nothing)
    log_reference = -math.log(cost.shape[1])
    log_feature = -tf.math.log(count)

    def step(rows, columns):
        rows = log_reference - tf.reduce_logsumexp(scores + columns, axis=2, keepdims=True)
        columns = log_feature - tf.reduce_logsumexp(scores + rows, axis=1, keepdims=True)
        return rows, tf.where(valid, columns, tf.zeros_like(columns))

    # A counted loop: written out fifty times over, XLA would compile for a minute.
    start = (tf.zeros_like(scores[:, :, :1]), tf.zeros_like(scores[:, :1]))
    rows, columns = tf.while_loop(lambda *_: True, step, start, maximum_iterations=steps)
    return tf.exp(scores + rows + columns)


@keras.utils.register_keras_serializable("gsp_tf")
class OTPPooling(EnsemblePooling):
    """Optimal transport pooling: one vector per reference feature, the mean of what is transported to it.

    The n local features, of mass 1/n each, are transported to m trainable references ω_i of mass 1/m each at the
    least smoothed cost (:func:`transport_plan`), with

        c_ij = ‖ω̄_i − f̄_j‖₂,  ū = u / max(1, ‖u‖₂),
        g = √m [Σ_j π_1j f_j, …, Σ_j π_mj f_j]        (B, m·width), block after block

    with the un-normalised features f. Every feature is transported whole, so the blocks add up to √m times the mean
    of the features: nothing is left out. Source: Mialon, Chen, d'Aspremont and Mairal, "A Trainable Optimal Transport
    Embedding for Feature Aggregation and its Relationship to Attention", ICLR 2021, definition 3.1, with the cost
    that the GSP paper's supplement gives it (P4 and B.1); the original takes −κ(ω_i, f_j) of a kernel κ for the
    cost. Its position encoding and its kernel embedding of the features are left out.

    Args:
        num_prototypes: m ≥ 1, the number of references. The GSP paper compares 8 of width 16 and 64 of width 128.
        width: features pass a trainable linear map to this dimension first; None takes them as they are.
        epsilon: smoothing ε > 0 of the plan; small is sharp. Note that the ε of :class:`GSPLayer` is the inverse of
            such a one. A sharp plan takes more steps.
        steps: Sinkhorn iterations, a fixed number. With the defaults the mass that a reference receives is within
            1e-6 of 1/m on features as networks give them; ``epsilon=0.1`` takes 100 for that.
        prototype_initializer: Keras initialiser of the (m, width) references.
        data_format: "channels_last" or "channels_first"; Keras's global setting by default.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        inputs, mask: as in :class:`PoolingLayer`; a mask gives the masked features no mass. A sample without any
            valid feature pools to zeros.

    Returns:
        (B, m·width). The order of the positions makes no difference.

    Raises:
        ValueError: for arguments out of range, or an input of another rank or of unknown feature dimension.
        TypeError: for inputs that are not floating point.

    >>> OTPPooling(num_prototypes=8, width=16)(tf.random.normal((2, 7, 7, 32))).shape
    TensorShape([2, 128])
    """

    def __init__(self, num_prototypes, width=None, epsilon=0.2, steps=50, prototype_initializer="glorot_uniform",
                 data_format=None, **kwargs):
        super().__init__(num_prototypes, width, data_format=data_format, **kwargs)
        self.epsilon = check_number("epsilon", epsilon, low=0, low_open=True)
        self.steps = check_count("steps", steps)
        self.prototype_initializer = keras.initializers.get(prototype_initializer)

    def build_prototypes(self, width):
        self.prototypes = full_precision_weight(
            self, name="prototypes", shape=(self.num_prototypes, width), initializer=self.prototype_initializer
        )

    def aggregate(self, features, valid):
        prototypes = clip_to_unit_ball(tf.cast(self.prototypes, features.dtype))
        cost = pairwise_distances(prototypes, clip_to_unit_ball(features))
        plan = transport_plan(cost, self.epsilon, self.steps, valid)
        return math.sqrt(self.num_prototypes) * tf.matmul(plan, features)

    def get_config(self):
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "steps": self.steps,
            "prototype_initializer": keras.initializers.serialize(self.prototype_initializer),
        }
