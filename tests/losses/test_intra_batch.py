import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.intra_batch import IntraBatchLoss
from tests.finite_differences import numeric_gradient, one_by_one, relative_error
from tests.losses.proxy_batches import CLASSES, DIM, LABELS, batch, tf_variable
from tests.reference.intra_batch import intra_batch


def make(seed=0, **changes):
    """A layer whose every weight is random, biases and norms too."""
    arguments = {"num_heads": 2, "num_blocks": 2, "hidden_dim": 6, "temperature": 0.7, "auxiliary_weight": 0.6}
    loss = IntraBatchLoss(CLASSES, DIM, **{**arguments, **changes})
    rng = np.random.default_rng(seed)
    loss.set_weights([rng.normal(scale=0.6, size=value.shape) for value in loss.get_weights()])
    return loss


def reference(loss, labels, embeddings):
    blocks = [
        {"attention": a.get_weights(), "norm": n.get_weights(), "hidden": h.get_weights(), "output": o.get_weights(),
         "output_norm": m.get_weights()}
        for a, n, h, o, m in zip(loss.attentions, loss.norms, loss.hidden_layers, loss.output_layers,
                                 loss.output_norms, strict=True)
    ]
    classifiers = [layer.get_weights()[0] for layer in (loss.refined_classifier, loss.plain_classifier)]
    return intra_batch(labels, embeddings, blocks, *classifiers, loss.temperature, loss.label_smoothing,
                       loss.auxiliary_weight, loss.normalize)


@pytest.mark.parametrize("name", LABELS)
def test_value_and_gradient(name):
    labels, embeddings = batch(name)
    loss = make(dtype="float64")
    x = tf.constant(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(labels, x)
    assert value.dtype == tf.float64 and value.shape == ()
    np.testing.assert_allclose(value, reference(loss, labels, embeddings), rtol=1e-9)
    expected = numeric_gradient(one_by_one(lambda u: reference(loss, labels, u)), embeddings, step=2e-6)
    assert relative_error(tape.gradient(value, x), expected) < 1e-6


@pytest.mark.parametrize("changes", [
    {"normalize": False}, {"label_smoothing": 0.0}, {"auxiliary_weight": 0.0}, {"num_blocks": 1, "num_heads": 1},
    {"label_smoothing": 0.3, "temperature": 2.0},
])
def test_options(changes):
    labels, embeddings = batch("uneven")
    loss = make(dtype="float64", **changes)
    np.testing.assert_allclose(loss(labels, embeddings), reference(loss, labels, embeddings), rtol=1e-9)


def test_gradient_reaches_every_variable():
    labels, embeddings = batch("uneven")
    loss = make(dtype="float64")
    # Two blocks of an attention of 8 weights, two norms and two dense layers of 2 each; two classifiers.
    assert len(loss.trainable_weights) == 2 * (8 + 4 + 4) + 2 == len(loss.weights)
    variables = [tf_variable(variable) for variable in loss.trainable_weights]
    with tf.GradientTape() as tape:
        value = loss(labels, embeddings)
    still = [i for i, gradient in enumerate(tape.gradient(value, variables)) if np.max(np.abs(gradient)) < 1e-12]
    # The keys' biases add the same to all scores of a node, which the softmax takes away.
    key_biases = [tuple(loss.weights[i].shape) for i in still]
    assert key_biases == [(2, DIM // 2)] * 2


def test_the_batch_matters_to_the_refined_embeddings():
    _, embeddings = batch("distinct")
    loss = make(dtype="float64")
    together, alone = loss.refine(tf.constant(embeddings)), loss.refine(tf.constant(embeddings[:1]))
    assert np.max(np.abs(together[0] - alone[0])) > 1e-3
    # An order of the batch is no information.
    np.testing.assert_allclose(loss.refine(tf.constant(embeddings[::-1])), together[::-1], rtol=1e-9)


def test_config_and_weights_make_the_same_loss():
    labels, embeddings = batch("uneven")
    loss = make(dtype="float64", normalize=False)
    copy = IntraBatchLoss.from_config(loss.get_config())
    assert copy.get_config() == loss.get_config()
    copy.set_weights(loss.get_weights())
    assert float(copy(labels, embeddings)) == float(loss(labels, embeddings))


def test_saved_with_a_model(tmp_path):
    labels, embeddings = batch("uneven")
    inputs = [keras.Input((), dtype="int32"), keras.Input((DIM,))]
    model = keras.Model(inputs, make()(*inputs))
    batch_inputs = [labels.astype(np.int32), embeddings.astype(np.float32)]
    expected = float(model(batch_inputs))
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(batch_inputs), expected, rtol=1e-6)


def test_compiled_equals_eager():
    labels, embeddings = batch("uneven")
    loss = make()
    x = tf.constant(embeddings, tf.float32)

    def value_and_gradient(y, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(y, x)
        return value, tape.gradient(value, x)

    eager = value_and_gradient(tf.constant(labels), x)
    compiled = tf.function(value_and_gradient, jit_compile=True)(tf.constant(labels), x)
    np.testing.assert_allclose(compiled[0], eager[0], rtol=1e-5)
    np.testing.assert_allclose(compiled[1], eager[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_computed_in_float32(policy):
    labels, embeddings = batch("uneven")
    keras.mixed_precision.set_global_policy(policy)
    loss = make(temperature=0.01)
    x = tf.constant(embeddings, policy.removeprefix("mixed_"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(labels, x)
    assert value.dtype == tf.float32
    np.testing.assert_allclose(value, loss(labels, tf.cast(x, tf.float32)), rtol=1e-6)
    assert np.isfinite(value) and np.all(np.isfinite(tf.cast(tape.gradient(value, x), tf.float32)))


def test_zero_embeddings_and_saturated_scores_are_finite():
    x = tf.zeros((3, DIM))
    loss = make(temperature=1e-3)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss([0, 1, 2], x)
    assert np.isfinite(value) and np.all(np.isfinite(tape.gradient(value, x)))


@pytest.mark.parametrize("changes, message", [
    ({"num_classes": 1}, "num_classes must be"),
    ({"num_heads": 3}, "embedding_dim must be a multiple of num_heads=3; got 4"),
    ({"num_blocks": 0}, "num_blocks must be"),
    ({"temperature": 0}, "temperature must be"),
    ({"label_smoothing": 1.5}, "label_smoothing must be"),
    ({"auxiliary_weight": -1}, "auxiliary_weight must be"),
])
def test_arguments_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        IntraBatchLoss(**{"num_classes": CLASSES, "embedding_dim": DIM, **changes})


def test_a_label_out_of_range():
    with pytest.raises(ValueError, match=rf"labels must be class indices in \[0, {CLASSES}\)"):
        make()([0, CLASSES], np.ones((2, DIM), np.float32))
