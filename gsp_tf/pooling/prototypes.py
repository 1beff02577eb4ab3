"""Initialisation of prototypes from the features that they will meet."""

import contextlib

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count, solver_dtype
from gsp_tf.ops.k_center import greedy_k_center
from gsp_tf.ops.normalization import clip_to_unit_ball
from gsp_tf.ops.replicas import as_array
from gsp_tf.pooling.gsp import GSPLayer
from gsp_tf.pooling.local_features import flatten_features


class PrototypeInitializer(keras.callbacks.Callback):
    """Set the prototypes of a :class:`GSPLayer` by greedy k-center over local features of the data.

    For the first ``warmup_steps`` optimizer steps the layer's ``mu`` is 1, which is global average pooling. Then the
    model sees batches of ``data`` until ``num_features`` local features have been gathered, the prototypes become a
    greedy k-center subset of them (clipped to the unit ball, as the layer sees them), and ``mu`` takes the layer's own
    value. The forward pass runs in training mode, as training will, and leaves the model's state as it was. Source:
    the GSP paper's implementation details; algorithm 2 of the thesis.

    Args:
        data: an iterable of batches as ``fit`` takes them, ``x`` or ``(x, y)``, or a function without arguments that
            returns one: for example a ``tf.data.Dataset``, or ``[images]``.
        num_features: how many local features to gather, at least the layer's number of prototypes; 1,024 in the
            paper.
        warmup_steps: optimizer steps of average pooling beforehand, 0 or more.
        layer: the layer, or its name; by default the model's only ``GSPLayer``.
        seed: of the subset of features and of the first center.

    Raises:
        ValueError: when training begins and the layer cannot be told, or the data end before ``num_features``
            features were gathered.

    >>> images = np.random.default_rng(0).normal(size=(32, 8, 8, 4)).astype("float32")
    >>> model = keras.Sequential([keras.Input((8, 8, 4)), GSPLayer(16), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(images, np.zeros((32, 1)), callbacks=[PrototypeInitializer([images])], verbose=0)
    """

    def __init__(self, data, num_features=1024, warmup_steps=0, layer=None, seed=0):
        super().__init__()
        self.data = data
        self.num_features = check_count("num_features", num_features)
        self.warmup_steps = check_count("warmup_steps", warmup_steps, low=0)
        self.layer = layer
        self.seed = seed
        self._pending = False

    def on_train_begin(self, logs=None):
        self._gsp = self._find_layer()
        # At exactly warmup_steps, a run that was stopped there has not set its prototypes yet.
        self._pending = self._step() <= self.warmup_steps
        if self._pending:
            self._build()
            if self._step() < self.warmup_steps:
                self._gsp.mu.assign(1.0)

    def on_train_batch_begin(self, batch, logs=None):
        if not self._pending:
            return
        if self._step() >= self.warmup_steps:
            self.initialize()
            self._pending = False
        else:
            self._gsp.mu.assign(1.0)

    def initialize(self):
        """Gather features, set the prototypes and the layer's own μ."""
        features = self._gather()
        layer = self._gsp
        picks = greedy_k_center(features, layer.num_prototypes, seed=self.seed)
        layer.prototypes.assign(tf.cast(features[picks], layer.prototypes.dtype))
        layer.mu.assign(layer.transport_ratio)

    def _step(self):
        return int(as_array(self.model.optimizer.iterations))

    def _find_layer(self):
        found = [layer for layer in self.model._flatten_layers() if isinstance(layer, GSPLayer)]
        if isinstance(self.layer, GSPLayer):
            found = [layer for layer in found if layer is self.layer]
        elif self.layer is not None:
            found = [layer for layer in found if layer.name == self.layer]
        if len(found) != 1:
            raise ValueError(
                f"PrototypeInitializer needs exactly one GSPLayer in the model; found {len(found)} for "
                f"layer={self.layer!r}: name the one that is meant"
            )
        if self.num_features < found[0].num_prototypes:
            raise ValueError(
                f"num_features must be at least num_prototypes={found[0].num_prototypes}; got {self.num_features}"
            )
        return found[0]

    def _build(self):
        """Create the variables of a model that would meet its first batch in ``fit``, and leave them as they are."""
        if self._gsp.built:
            return
        for images in self._images():
            self.model(images, training=False)
            return
        raise self._too_few(0)

    def _images(self):
        for batch in self.data() if callable(self.data) else self.data:
            yield keras.utils.unpack_x_y_sample_weight(batch)[0]

    def _too_few(self, total):
        return ValueError(
            f"PrototypeInitializer gathered {total} local features of num_features={self.num_features}: give more "
            "data, or lower num_features"
        )

    def _gather(self):
        bags, total = [], 0
        state = [(variable, as_array(variable)) for variable in self.model.non_trainable_variables]
        for images in self._images():
            with _recorded_inputs(self._gsp) as recorded:
                self.model(images, training=True)
            for inputs, mask in recorded:
                features, valid = flatten_features(inputs, mask, self._gsp.data_format)
                features = tf.reshape(tf.cast(features, solver_dtype(features.dtype)), (-1, features.shape[-1]))
                if valid is not None:
                    features = tf.boolean_mask(features, tf.reshape(valid, (-1,)))
                bags.append(clip_to_unit_ball(features).numpy())
                total += len(bags[-1])
            if total >= self.num_features:
                break
        for variable, value in state:
            variable.assign(value)
        if total < self.num_features:
            raise self._too_few(total)
        features = np.concatenate(bags)
        chosen = np.random.default_rng(self.seed).choice(total, self.num_features, replace=False)
        return features[np.sort(chosen)]


@contextlib.contextmanager
def _recorded_inputs(layer):
    """Collect what a layer is called with, wherever it sits: functional, sequential and subclassed models alike."""
    recorded, call = [], layer.call

    def recording(inputs, *args, mask=None, **kwargs):
        recorded.append((inputs, mask))
        return call(inputs, *args, mask=mask, **kwargs)

    layer.call = recording
    try:
        yield recorded
    finally:
        # The class's own method shows again.
        del layer.call
