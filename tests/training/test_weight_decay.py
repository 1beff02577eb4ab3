import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from gsp_tf.errors import UserError
from gsp_tf.training.build import build_learner
from gsp_tf.training.config import parse_run
from gsp_tf.training.weight_decay import decayed_variables
from tests.tiny_job import run_values

RATE, DECAY = 0.1, 0.5


def make_embedder():
    images = keras.Input((2,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(3)(images))
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    return keras.Model(images, inner(hidden))


def sum_loss(labels, embeddings):
    """A loss whose gradient does not vanish."""
    return tf.reduce_sum(embeddings * tf.constant([[1.0, 2.0]]) ** 2 * tf.cast(labels[:, None], tf.float32))


def step(embedder, optimizer, **settings):
    """One step on fixed data: the trainable weights before and after."""
    learner = gsp_tf.MetricLearner(embedder, sum_loss, **settings)
    learner.compile(optimizer)
    before = [variable.numpy() for variable in embedder.trainable_weights]
    images = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    learner.fit(images, np.array([0, 1, 2, 3]), batch_size=4, shuffle=False, verbose=0)
    return before, [variable.numpy() for variable in embedder.trainable_weights]


def test_batch_norm_does_not_decay_and_biases_do_by_choice():
    embedder = make_embedder()
    # Two dense layers and two normalisations, one of each nested.
    shapes = [tuple(variable.shape) for variable in decayed_variables(embedder)]
    assert shapes == [(2, 3), (3,), (3, 2), (2,)]
    shapes = [tuple(variable.shape) for variable in decayed_variables(embedder, biases=False)]
    assert shapes == [(2, 3), (3, 2)]
    embedder.layers[1].trainable = False
    assert [tuple(variable.shape) for variable in decayed_variables(embedder)] == [(3, 2), (2,)]


@pytest.mark.parametrize("biases", [True, False])
def test_coupled_decay_adds_to_the_gradient_of_what_decays(biases):
    keras.utils.set_random_seed(0)
    plain, coupled = make_embedder(), make_embedder()
    coupled.set_weights([value + 0.25 for value in plain.get_weights()])
    plain.set_weights(coupled.get_weights())
    _, without = step(plain, keras.optimizers.SGD(RATE))
    decayed = decayed_variables(coupled, biases)
    before, after = step(coupled, keras.optimizers.SGD(RATE), weight_decay=DECAY, decay_variables=decayed)
    chosen = {id(variable) for variable in decayed}
    for variable, start, alone, end in zip(coupled.trainable_weights, before, without, after, strict=True):
        share = DECAY if id(variable) in chosen else 0.0
        # −η (g + w θ), with −η g what the plain step did.
        np.testing.assert_allclose(end - alone, -RATE * share * start, rtol=1e-4, atol=1e-6)


def learner_of(name, biases=True, method="GAP", **training):
    decay = {"name": name, "weight": DECAY, "biases": biases}
    optimizer = {"name": "SGD", "learning_rate": RATE}
    return build_learner(
        parse_run(run_values(method, **{"weight_decay": decay, "optimizer": optimizer, **training}), "here"),
        (32, 32, 1), 4,
    )


@pytest.mark.parametrize("name", ["coupled", "decoupled"])
@pytest.mark.parametrize("biases", [True, False])
def test_from_a_config_with_equal_images_only_decay_moves_the_weights(name, biases):
    learner = learner_of(name, biases)
    # Images and labels that give no gradient: one class has no negatives, and equal images no distance.
    images = np.zeros((4, 32, 32, 1), np.float32)
    trainable = list(learner.trainable_variables)
    before = [variable.numpy() + 0.25 for variable in trainable]
    for variable, value in zip(trainable, before, strict=True):
        variable.assign(value)
    learner.fit(images, np.zeros(4, np.int32), batch_size=4, verbose=0)
    chosen = {id(variable) for variable in decayed_variables(learner.embedder, biases)}
    assert 0 < len(chosen) < len(trainable)
    for variable, start in zip(trainable, before, strict=True):
        factor = 1 - RATE * DECAY if id(variable) in chosen else 1.0
        np.testing.assert_allclose(variable.numpy(), factor * start, rtol=1e-4, atol=1e-5)


def test_decoupled_decay_is_that_of_adamw():
    learner = learner_of("decoupled", optimizer={"name": "Adam", "learning_rate": RATE})
    trainable = list(learner.trainable_variables)
    kernel = next(variable for variable in trainable if len(variable.shape) == 4)
    before = kernel.numpy()
    learner.fit(np.zeros((4, 32, 32, 1), np.float32), np.zeros(4, np.int32), batch_size=4, verbose=0)
    # Were it coupled, Adam would make a step of the learning rate's size of it.
    np.testing.assert_allclose(kernel.numpy(), (1 - RATE * DECAY) * before, rtol=1e-4, atol=1e-6)


def test_coupled_decay_in_half_precision_is_finite():
    keras.mixed_precision.set_global_policy("mixed_float16")
    learner = learner_of("coupled")
    kernel = learner.embedder.trainable_weights[0]
    before = kernel.numpy()
    # The first steps are given up, until the scale of the loss fits.
    images = np.random.default_rng(0).uniform(size=(96, 32, 32, 1)).astype(np.float32)
    history = learner.fit(images, np.arange(96) % 4, batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"][0]) and np.all(np.isfinite(kernel.numpy()))
    assert np.max(np.abs(kernel.numpy() - before)) > 0.01 * RATE * DECAY


def test_decoupled_decay_leaves_the_label_embeddings_alone():
    learner = learner_of("decoupled", method="GSP+ZSR")
    (labels,) = learner.regularizer.trainable_weights
    before = labels.numpy()
    variables = list(learner.trainable_variables)
    learner.optimizer.apply_gradients([(tf.zeros(variable.shape), variable) for variable in variables])
    np.testing.assert_array_equal(labels.numpy(), before)


def test_decay_of_nothing_and_two_kinds_at_once():
    with pytest.raises(ValueError, match="weight_decay needs decay_variables, .* got none"):
        gsp_tf.MetricLearner(make_embedder(), sum_loss, weight_decay=0.1)
    with pytest.raises(ValueError, match="weight_decay must be .*; got -1"):
        gsp_tf.MetricLearner(make_embedder(), sum_loss, weight_decay=-1)
    with pytest.raises(UserError, match="training.weight_decay.name decoupled is for Keras's own optimizers without"):
        learner_of("decoupled", optimizer={"name": "AdamW", "weight_decay": 0.1})
