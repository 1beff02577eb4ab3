"""The proximal term of chance-constrained metric learning, with everything that one projection must remember."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_number
from gsp_tf.ops.replicas import as_array
from gsp_tf.ops.variables import full_precision_weight


class Projection(keras.layers.Layer):
    """(λ/2) ‖θ − θ*‖², and the state of the projection that is being solved.

    Each problem of :class:`gsp_tf.AlternatingProjections` keeps the parameters θ near those θ* of the problem before.
    θ*, the best weights and proxies so far, ρ* and the counters are non-trainable weights: saved with the model, they
    let a killed run go on inside a projection. Source: algorithm 1 and (3.2.11) of the thesis.

    Args:
        embedder: built Keras model with parameters θ.
        proxies: :class:`gsp_tf.losses.ProxyLoss` with the proxies ρ.
        weight: λ ≥ 0; 2e-4 in the thesis.
        **kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, embedder, proxies, weight=2e-4, **kwargs):
        super().__init__(**kwargs)
        self.weight = check_number("weight", weight, low=0)
        # In a tuple, a layer is not tracked a second time. Of two functions in one line AutoGraph warns that it cannot
        # tell them apart, when a step is traced for several replicas.
        self.subjects = (
            lambda: embedder,
            lambda: proxies,
        )
        self.anchors = [self._copy(f"anchor_{i}", value) for i, value in enumerate(embedder.trainable_weights)]
        self.best_weights = [self._copy(f"best_{i}", value) for i, value in enumerate(embedder.weights)]
        self.best_proxies = self._copy("best_proxies", proxies.scaled_proxies)
        self.counters = {
            name: full_precision_weight(self, name=name, shape=(), initializer=keras.initializers.Constant(start),
                                        trainable=False, dtype="float32")
            for name, start in {"problem": 0, "steps": 0, "waited": 0, "best_score": -1}.items()
        }
        self.built = True

    def proximal_term(self):
        """(λ/2) Σ ‖θ − θ*‖² over the embedder's trainable weights, a scalar."""
        parameters = [tf.convert_to_tensor(value) for value in self.subjects[0]().trainable_weights]
        terms = [
            tf.reduce_sum(tf.square(tf.cast(value - tf.convert_to_tensor(anchor), tf.float32)))
            for value, anchor in zip(parameters, self.anchors, strict=True)
        ]
        return self.weight / 2 * tf.add_n(terms)

    def remember_best(self):
        """Keep the current weights and proxies as the best of this problem."""
        embedder, proxies = (subject() for subject in self.subjects)
        _assign_all([*self.best_weights, self.best_proxies], [*embedder.weights, proxies.scaled_proxies])

    def restore_best(self):
        """Put the best weights and proxies of this problem back."""
        embedder, proxies = (subject() for subject in self.subjects)
        _assign_all([*embedder.weights, proxies.scaled_proxies], [*self.best_weights, self.best_proxies])

    def move_anchors(self):
        """θ* ← θ; returns how far they moved, ‖θ − θ*‖."""
        parameters = self.subjects[0]().trainable_weights
        moved = sum(float(((as_array(value) - as_array(anchor)) ** 2).sum())
                    for value, anchor in zip(parameters, self.anchors, strict=True))
        _assign_all(self.anchors, parameters)
        return moved ** 0.5

    def _copy(self, name, variable):
        value = as_array(variable)
        return full_precision_weight(
            self, name=name, shape=value.shape, trainable=False, dtype=value.dtype.name,
            initializer=lambda shape, dtype=None: tf.constant(value, dtype),
        )


def _assign_all(targets, sources):
    for target, source in zip(targets, sources, strict=True):
        target.assign(as_array(source))
