import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from gsp_tf.ops.replicas import as_array
from tests import embedders
from tests.reference import k_center as reference
from tests.reference.poolings import clip_to_unit_ball


class Recorder(keras.callbacks.Callback):
    """Notes μ and the prototypes that each step is taken with."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.mus, self.prototypes = layer, [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.mus.append(float(as_array(self.layer.mu)))
        self.prototypes.append(as_array(self.layer.prototypes))


def images_of(rng, count=24, size=8, channels=3):
    return rng.normal(size=(count, size, size, channels)).astype(np.float32)


def bare(mu=0.3, num_prototypes=5, **kwargs):
    """A model whose local features are its inputs, and that training leaves as it is."""
    model = keras.Sequential([keras.Input((4, 4, 3)), gsp_tf.GSPLayer(num_prototypes, mu=mu, name="pool", **kwargs)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    return model, model.layers[-1]


def train(model, images, callbacks, steps, batch_size=4):
    data = tf.data.Dataset.from_tensor_slices((images, np.zeros((len(images), 1), np.float32))).batch(batch_size)
    return model.fit(data.repeat(), epochs=1, steps_per_epoch=steps, callbacks=callbacks, shuffle=False, verbose=0)


def test_prototypes_are_a_greedy_cover_of_the_features(rng):
    images = images_of(rng, size=4)
    model, layer = bare()
    train(model, images, [gsp_tf.PrototypeInitializer([images], num_features=24 * 16)], steps=1)
    features = np.array([clip_to_unit_ball(row) for row in images.reshape(-1, 3)])
    prototypes = as_array(layer.prototypes)
    distances = np.linalg.norm(prototypes[:, np.newaxis] - features, axis=2)
    picks = distances.argmin(axis=1)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-6)
    # All features were asked for, so that the picks after the first, drawn, one are determined.
    assert picks[1:].tolist() == reference.greedy_k_center(features, 4, features[picks[:1]])


def test_no_more_data_are_read_than_needed(rng):
    read = []

    def batches():
        for _ in range(10):
            read.append(1)
            yield images_of(rng, count=4, size=4)

    model, _ = bare()
    train(model, images_of(rng, size=4), [gsp_tf.PrototypeInitializer(batches, num_features=100)], steps=1)
    # 4 · 16 features a batch.
    assert len(read) == 2


@pytest.mark.parametrize("warmup_steps", [0, 3])
def test_the_layer_averages_until_the_prototypes_are_set(warmup_steps, rng):
    images = images_of(rng, size=4)
    model, layer = bare()
    start, recorder = as_array(layer.prototypes), Recorder(layer)
    initializer = gsp_tf.PrototypeInitializer([images], num_features=64, warmup_steps=warmup_steps)
    train(model, images, [initializer, recorder], steps=5)
    np.testing.assert_allclose(recorder.mus, [1.0] * warmup_steps + [0.3] * (5 - warmup_steps), rtol=1e-7)
    changed = [not np.array_equal(prototypes, start) for prototypes in recorder.prototypes]
    assert changed == [False] * warmup_steps + [True] * (5 - warmup_steps)
    for prototypes in recorder.prototypes[warmup_steps:]:
        np.testing.assert_array_equal(prototypes, recorder.prototypes[-1])


def test_warm_up_goes_on_in_a_second_fit(rng):
    images = images_of(rng, size=4)
    model, layer = bare()
    recorder = Recorder(layer)
    initializer = gsp_tf.PrototypeInitializer([images], num_features=64, warmup_steps=3)
    for _ in range(3):
        train(model, images, [initializer, recorder], steps=2)
    np.testing.assert_allclose(recorder.mus, [1, 1, 1, 0.3, 0.3, 0.3], rtol=1e-7)
    np.testing.assert_array_equal(recorder.prototypes[3], recorder.prototypes[5])


@pytest.mark.parametrize(("step", "reset"), [(2, True), (3, True), (4, False), (100, False)])
def test_a_restart_beyond_the_warm_up_leaves_the_prototypes(step, reset, rng):
    images = images_of(rng, size=4)
    model, layer = bare()
    start = as_array(layer.prototypes)
    layer.mu.assign(0.25)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(step)
    train(model, images, [gsp_tf.PrototypeInitializer([images], num_features=64, warmup_steps=3)], steps=2)
    assert np.array_equal(as_array(layer.prototypes), start) != reset
    np.testing.assert_allclose(as_array(layer.mu), 0.3 if reset else 0.25, rtol=1e-7)


@pytest.mark.parametrize(
    ("kind", "warmup_steps", "run_eagerly"),
    [("functional", 2, False), ("sequential", 2, True), ("sequential_without_input", 2, True), ("nested", 2, True),
     ("subclassed", 2, False), ("subclassed", 0, True)],
)
def test_every_kind_of_model(kind, warmup_steps, run_eagerly, rng):
    images = images_of(rng)
    model = embedders.KINDS[kind]()
    model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=run_eagerly)
    layer = embedders.gsp_layer(model)
    recorder = Recorder(layer)
    initializer = gsp_tf.PrototypeInitializer([images], num_features=200, warmup_steps=warmup_steps)
    train(model, images, [initializer, recorder], steps=4)
    np.testing.assert_allclose(recorder.mus, [1.0] * warmup_steps + [0.3] * (4 - warmup_steps), rtol=1e-7)
    prototypes = recorder.prototypes[warmup_steps]
    # k-center picks are distinct points of the unit ball.
    assert np.unique(prototypes, axis=0).shape == (embedders.PROTOTYPES, 5)
    assert np.linalg.norm(prototypes, axis=1).max() < 1 + 1e-6
    if warmup_steps:
        assert np.abs(recorder.prototypes[0] - prototypes).max() > 1e-2


@pytest.mark.parametrize("kind", list(embedders.KINDS))
def test_the_state_of_the_model_is_left_alone(kind, rng):
    images = images_of(rng)
    model = embedders.KINDS[kind]()
    model.compile("sgd", "mse")
    initializer = gsp_tf.PrototypeInitializer([images], num_features=200)
    initializer.set_model(model)
    initializer.on_train_begin()
    layer = embedders.gsp_layer(model)
    others = [
        variable for variable in model.variables if all(variable is not own for own in (layer.mu, layer.prototypes))
    ]
    before = [as_array(variable) for variable in others]
    initializer.on_train_batch_begin(0)
    for variable, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(as_array(variable), value)
    # A training step's forward pass does change it.
    model(images, training=True)
    assert any(not np.array_equal(as_array(v), value) for v, value in zip(others, before, strict=True))


def test_the_features_are_those_of_training_mode(rng):
    inputs = keras.Input((4, 4, 3))
    layer = gsp_tf.GSPLayer(5)
    model = keras.Model(inputs, layer(keras.layers.BatchNormalization()(inputs)))
    model.compile("sgd", "mse")
    images = 100 + 1e-2 * images_of(rng, size=4)
    initializer = gsp_tf.PrototypeInitializer([images], num_features=24 * 16)
    initializer.set_model(model)
    initializer.on_train_begin()
    initializer.on_train_batch_begin(0)
    # Inference mode, with moving statistics of mean 0 and variance 1, would put all of them at (1, 1, 1)/√3.
    assert as_array(layer.prototypes).std(axis=0).min() > 0.1


def test_padding_is_no_feature(rng):
    tokens = rng.uniform(0.1, 0.5, size=(8, 6, 3)).astype(np.float32)
    tokens[:, 4:] = 0
    model = keras.Sequential([keras.Input((6, 3)), keras.layers.Masking(), gsp_tf.GSPLayer(20)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    train(model, tokens, [gsp_tf.PrototypeInitializer([tokens], num_features=32)], steps=1)
    assert as_array(model.layers[-1].prototypes).min() >= 0.1


@pytest.mark.parametrize("form", ["dataset", "dataset of images", "function", "list of pairs"])
def test_the_forms_of_data(form, rng):
    images, labels = images_of(rng, size=4), np.zeros((24, 1), np.float32)
    data = {
        "dataset": tf.data.Dataset.from_tensor_slices((images, labels)).batch(8),
        "dataset of images": tf.data.Dataset.from_tensor_slices(images).batch(8),
        "function": lambda: iter([(images, labels)]),
        "list of pairs": [(images, labels)],
    }[form]
    model, layer = bare()
    start = as_array(layer.prototypes)
    train(model, images, [gsp_tf.PrototypeInitializer(data, num_features=300)], steps=1)
    assert not np.array_equal(as_array(layer.prototypes), start)


def test_channels_first(rng):
    images = images_of(rng, size=4)
    model = keras.Sequential([keras.Input((3, 4, 4)), gsp_tf.GSPLayer(5, data_format="channels_first")])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    first = np.moveaxis(images, -1, 1)
    train(model, first, [gsp_tf.PrototypeInitializer([first], num_features=64)], steps=1)
    features = np.array([clip_to_unit_ball(row) for row in images.reshape(-1, 3)])
    distances = np.linalg.norm(as_array(model.layers[-1].prototypes)[:, np.newaxis] - features, axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-6)


def test_warm_up_ends_under_loss_scaling(rng):
    # There the optimizer is wrapped in another, with a counter of its own.
    keras.mixed_precision.set_global_policy("mixed_float16")
    images = images_of(rng)
    model = embedders.functional()
    optimizer = keras.optimizers.SGD(1e-3)
    model.compile(keras.mixed_precision.LossScaleOptimizer(optimizer), "mse")
    layer = embedders.gsp_layer(model)
    recorder = Recorder(layer)
    initializer = gsp_tf.PrototypeInitializer([images], num_features=200, warmup_steps=2)
    train(model, images, [initializer, recorder], steps=4)
    np.testing.assert_allclose(recorder.mus, [1, 1, 0.3, 0.3], rtol=1e-7)
    assert as_array(layer.prototypes).dtype == np.float32


def test_one_of_two_layers_by_name_or_itself(rng):
    images = images_of(rng, size=4)
    inputs = keras.Input((4, 4, 3))
    first, second = gsp_tf.GSPLayer(5, name="first"), gsp_tf.GSPLayer(5, name="second")
    model = keras.Model(inputs, first(inputs) + second(inputs))
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    with pytest.raises(ValueError, match="needs exactly one GSPLayer in the model; found 2 for layer=None: name the one"):
        train(model, images, [gsp_tf.PrototypeInitializer([images])], steps=1)
    start = as_array(first.prototypes), as_array(second.prototypes)
    train(model, images, [gsp_tf.PrototypeInitializer([images], num_features=64, layer="second")], steps=1)
    np.testing.assert_array_equal(as_array(first.prototypes), start[0])
    assert not np.array_equal(as_array(second.prototypes), start[1])
    model.optimizer.iterations.assign(0)
    train(model, images, [gsp_tf.PrototypeInitializer([images], num_features=64, layer=first)], steps=1)
    assert not np.array_equal(as_array(first.prototypes), start[0])


class TestErrors:
    def test_no_layer(self, rng):
        images = images_of(rng, size=4)
        model = keras.Sequential([keras.Input((4, 4, 3)), gsp_tf.GAPPooling()])
        model.compile("sgd", "mse")
        initializer = gsp_tf.PrototypeInitializer([images])
        initializer.set_model(model)
        with pytest.raises(ValueError, match="needs exactly one GSPLayer in the model; found 0"):
            initializer.on_train_begin()

    def test_an_unknown_name(self, rng):
        model, _ = bare()
        initializer = gsp_tf.PrototypeInitializer([images_of(rng, size=4)], layer="pools")
        initializer.set_model(model)
        with pytest.raises(ValueError, match="found 0 for layer='pools': name the one that is meant"):
            initializer.on_train_begin()

    def test_fewer_features_than_prototypes(self, rng):
        model, _ = bare(num_prototypes=65)
        initializer = gsp_tf.PrototypeInitializer([images_of(rng, size=4)], num_features=64)
        initializer.set_model(model)
        with pytest.raises(ValueError, match="num_features must be at least num_prototypes=65; got 64"):
            initializer.on_train_begin()

    def test_the_data_end_early(self, rng):
        model, _ = bare()
        images = images_of(rng, count=2, size=4)
        with pytest.raises(ValueError, match="gathered 32 local features of num_features=33: give more data, or lower"):
            train(model, images, [gsp_tf.PrototypeInitializer([images], num_features=33)], steps=1)

    def test_there_are_no_data(self):
        model = embedders.Subclassed()
        model.compile("sgd", "mse")
        initializer = gsp_tf.PrototypeInitializer([], num_features=33)
        initializer.set_model(model)
        with pytest.raises(ValueError, match="gathered 0 local features of num_features=33"):
            initializer.on_train_begin()

    def test_a_diverged_model(self, rng):
        images = images_of(rng, size=4)
        images[0, 0, 0, 0] = np.nan
        model, _ = bare()
        initializer = gsp_tf.PrototypeInitializer([images], num_features=24 * 16)
        with pytest.raises(ValueError, match="points must be finite; got NaN or Inf: look for a diverged model"):
            train(model, images, [initializer], steps=1)

    def test_counts(self):
        with pytest.raises(ValueError, match="num_features must be a whole number of at least 1; got 0"):
            gsp_tf.PrototypeInitializer([], num_features=0)
        with pytest.raises(ValueError, match="warmup_steps must be a whole number of at least 0; got -1"):
            gsp_tf.PrototypeInitializer([], warmup_steps=-1)
