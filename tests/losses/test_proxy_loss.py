"""What holds for every loss with proxies."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.contrastive import ContrastiveLoss
from gsp_tf.losses.proxies import Proxies
from gsp_tf.losses.proxy_anchor import ProxyAnchorLoss
from gsp_tf.losses.proxy_nca import ProxyNCALoss
from gsp_tf.losses.soft_triple import SoftTripleLoss
from tests.losses.proxy_batches import CLASSES, DIM, LABELS, batch, tf_variable

MAKERS = {
    "Proxies": lambda **kwargs: Proxies(CLASSES, DIM, 2, ContrastiveLoss(0.1, 1.2), **kwargs),
    "ProxyAnchorLoss": lambda **kwargs: ProxyAnchorLoss(CLASSES, DIM, **kwargs),
    "ProxyNCALoss": lambda **kwargs: ProxyNCALoss(CLASSES, DIM, **kwargs),
    "SoftTripleLoss": lambda **kwargs: SoftTripleLoss(CLASSES, DIM, 3, **kwargs),
}
every_loss = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def value_and_gradients(loss, labels, embeddings):
    variable = tf_variable(loss.trainable_weights[0])
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        value = loss(labels, embeddings)
    return (value, *tape.gradient(value, [embeddings, variable]))


@every_loss
def test_variables_exist_before_the_first_batch(make):
    loss = make()
    assert loss.built and [tuple(weight.shape)[1] for weight in loss.weights] == [DIM]


@every_loss
@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64", "float32", "float64"])
def test_every_form_of_labels_is_the_same(make, dtype):
    labels, embeddings = batch("uneven")
    loss = make()
    expected = loss(labels, embeddings)
    assert loss(tf.constant(labels.astype(dtype)), embeddings) == expected
    assert loss(labels.astype(dtype)[:, np.newaxis], embeddings) == expected
    assert loss(labels.tolist(), embeddings) == expected


@every_loss
@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_equals_eager(make, jit_compile):
    labels, embeddings = (tf.constant(array) for array in batch("uneven"))
    loss = make(dtype="float64")
    compiled = tf.function(lambda *batch: value_and_gradients(loss, *batch), jit_compile=jit_compile)
    eager = value_and_gradients(loss, labels, embeddings)
    for found, expected in zip(compiled(labels, embeddings), eager, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@every_loss
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", LABELS)
def test_half_precision_is_computed_in_float32(make, policy, name):
    labels, embeddings = batch(name)
    embeddings = tf.cast(1000 * embeddings, policy.removeprefix("mixed_"))
    loss = make(dtype=policy, lr_multiplier=100.0)
    same = make(dtype="float32", lr_multiplier=100.0)
    same.set_weights(loss.get_weights())
    value, by_embeddings, by_weights = value_and_gradients(loss, labels, embeddings)
    assert value.dtype == tf.float32 and by_embeddings.dtype == embeddings.dtype
    for tensor in (value, by_embeddings, by_weights):
        assert np.all(np.isfinite(tf.cast(tensor, tf.float32)))
    assert value == same(labels, tf.cast(embeddings, tf.float32))


@every_loss
def test_zero_embeddings_and_proxies_have_finite_gradients(make):
    loss = make()
    loss.assign(np.zeros(loss.values.shape, np.float32))
    for tensor in value_and_gradients(loss, np.array([0, 1, 1]), tf.zeros((3, DIM))):
        assert np.all(np.isfinite(tensor))


@every_loss
def test_multiplier_is_a_learning_rate_under_adam(make):
    """One step with M = 100 at rate r, and one with M = 1 at rate 100 r."""
    labels, embeddings = batch("distinct")
    start = np.random.default_rng(1).normal(size=make().values.shape)
    found = []
    for multiplier, rate in [(100.0, 1e-4), (1.0, 1e-2)]:
        loss = make(lr_multiplier=multiplier, dtype="float64")
        loss.assign(start)
        gradient = value_and_gradients(loss, labels, tf.constant(embeddings))[2]
        keras.optimizers.Adam(rate, epsilon=1e-12).apply_gradients([(gradient, loss.trainable_weights[0])])
        found.append(loss.values.numpy())
    assert np.max(np.abs(found[0] - start)) > 0.009
    np.testing.assert_allclose(found[0] - start, found[1] - start, rtol=1e-5, atol=1e-9)


@every_loss
def test_multiplier_does_not_change_the_start(make):
    plain, multiplied = (
        make(lr_multiplier=multiplier, initializer=keras.initializers.GlorotUniform(seed=1)) for multiplier in (1, 100)
    )
    np.testing.assert_allclose(multiplied.values, plain.values, rtol=1e-6)
    np.testing.assert_allclose(multiplied.get_weights()[0] * 100, plain.get_weights()[0], rtol=1e-6)


@every_loss
def test_config_makes_the_same_loss(make):
    labels, embeddings = batch("uneven")
    loss = make(lr_multiplier=10.0, initializer=keras.initializers.RandomNormal(stddev=0.3), name="mine")
    copy = type(loss).from_config(loss.get_config())
    copy.set_weights(loss.get_weights())
    assert copy.get_config() == loss.get_config() and copy.name == "mine"
    assert copy(labels, embeddings) == loss(labels, embeddings)


@every_loss
def test_labels_outside_the_classes(make):
    loss, embeddings = make(), tf.ones((2, DIM))
    for labels, wrong in [([0, CLASSES], CLASSES), ([-1, 0], -1)]:
        with pytest.raises(ValueError, match=rf"labels must be class indices in \[0, {CLASSES}\); got {wrong}: set"):
            loss(labels, embeddings)
        with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be class indices"):
            tf.function(loss)(tf.constant(labels), embeddings)


@every_loss
def test_errors(make):
    with pytest.raises(ValueError, match=rf"embeddings must have shape \(B, {DIM}\); got shape \(2, 3\): set"):
        make()([0, 1], tf.ones((2, 3)))
    with pytest.raises(ValueError, match=r"embeddings must have shape \(B, D\); got shape \(2,\) of rank 1"):
        make()([0, 1], tf.ones((2,)))
    with pytest.raises(TypeError, match="embeddings must hold floating-point numbers; got dtype int32"):
        make()([0, 1], tf.ones((2, DIM), tf.int32))
    with pytest.raises(ValueError, match=r"lr_multiplier must be a number in \(0, inf\); got 0"):
        make(lr_multiplier=0)


def test_sizes_must_be_counts():
    with pytest.raises(ValueError, match="num_classes must be a whole number of at least 1; got 0"):
        ProxyAnchorLoss(0, 2)
    with pytest.raises(ValueError, match="embedding_dim must be a whole number of at least 1; got 2.5"):
        ProxyAnchorLoss(2, 2.5)
    with pytest.raises(ValueError, match="proxies_per_class must be a whole number of at least 1; got 0"):
        Proxies(2, 2, 0)
