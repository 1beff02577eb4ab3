import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from tests.finite_differences import numeric_gradient, relative_error
from tests.reference.contrastive import contrastive

LABELS = {
    "uneven": [0, 0, 0, 0, 1, 2, 2],
    "one class": [3] * 7,
    "all distinct": [6, 5, 4, 3, 2, 1, 0],
    "far-off numbers": [10**9, 10**9, 7, 7, 0, 0, 10**9 + 1],
}
MARGINS = [(0.0, 0.3841), (0.2652, 0.5409), (0.0, 0.5), (0.5, 1.9)]


class TestValue:
    @pytest.mark.parametrize(("pos_margin", "neg_margin"), MARGINS)
    @pytest.mark.parametrize("kind", list(LABELS))
    def test_equals_loops(self, kind, pos_margin, neg_margin, rng):
        # Close to one direction, so that there are active pairs of both sorts.
        embeddings = 3 * np.ones((7, 4)) + rng.normal(size=(7, 4))
        for normalize in (False, True):
            loss = gsp_tf.ContrastiveLoss(pos_margin, neg_margin, normalize=normalize)(LABELS[kind], embeddings)
            expected = contrastive(LABELS[kind], embeddings, pos_margin, neg_margin, normalize=normalize)
            np.testing.assert_allclose(loss, expected, rtol=1e-9, atol=1e-12)
            assert loss.shape == () and loss.dtype == tf.float64
        assert expected > 0

    def test_a_reference_set(self, rng):
        embeddings, references = 2 + rng.normal(size=(4, 3)), 2 + rng.normal(size=(6, 3))
        labels, ref_labels = [0, 0, 1, 5], [0, 1, 1, 2, 0, 0]
        for pos_margin, neg_margin in MARGINS:
            loss = gsp_tf.ContrastiveLoss(pos_margin, neg_margin)(labels, embeddings, ref_labels, references)
            expected = contrastive(labels, embeddings, pos_margin, neg_margin, ref_labels, references)
            np.testing.assert_allclose(loss, expected, rtol=1e-9)

    def test_in_a_reference_set_a_sample_may_meet_itself(self, rng):
        embeddings = rng.normal(size=(4, 3))
        # All positives are pairs of a sample with itself, at distance 0: within any margin, no term is active.
        loss = gsp_tf.ContrastiveLoss(0.0, 1e-9)
        assert loss([0, 1, 2, 3], embeddings, [0, 1, 2, 3], embeddings) == 0
        assert loss([0, 0, 2, 3], embeddings, [0, 0, 2, 3], embeddings) > 0

    def test_no_active_pair(self):
        embeddings = tf.constant([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = gsp_tf.ContrastiveLoss(0.1, 0.5)([0, 0, 1, 1], embeddings)
        assert loss.numpy() == 0
        assert not tape.gradient(loss, embeddings).numpy().any()

    @pytest.mark.parametrize(("labels", "expected"), [([0, 0], 2**0.5 - 0.1), ([0, 1], 1.5 - 2**0.5)])
    def test_two_samples(self, labels, expected):
        loss = gsp_tf.ContrastiveLoss(0.1, 1.5)(labels, np.eye(2))
        np.testing.assert_allclose(loss, expected, rtol=1e-14)

    @pytest.mark.parametrize("count", [0, 1])
    def test_no_pair_at_all(self, count):
        embeddings = tf.ones((count, 3))
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = gsp_tf.ContrastiveLoss()(tf.zeros(count, tf.int32), embeddings)
        assert loss.numpy() == 0
        assert not tape.gradient(loss, embeddings).numpy().any()

    @pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
    @pytest.mark.parametrize("shape", [(7,), (7, 1)])
    def test_the_forms_of_labels(self, shape, dtype, rng):
        embeddings = 2 + rng.normal(size=(7, 3))
        labels = np.array(LABELS["uneven"], dtype).reshape(shape)
        expected = contrastive(LABELS["uneven"], embeddings, 0.0, 0.5)
        np.testing.assert_allclose(gsp_tf.ContrastiveLoss()(labels, embeddings), expected, rtol=1e-9)


class TestGradient:
    @pytest.mark.parametrize("normalize", [True, False])
    @pytest.mark.parametrize("kind", ["uneven", "one class", "all distinct"])
    def test_equals_finite_differences(self, kind, normalize, rng):
        loss_of = gsp_tf.ContrastiveLoss(0.1, 0.6, normalize=normalize)
        embeddings = 1 + 0.4 * rng.normal(size=(7, 3))
        inputs = tf.constant(embeddings)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = loss_of(LABELS[kind], inputs)
        expected = numeric_gradient(lambda stack: [loss_of(LABELS[kind], x) for x in stack], embeddings, step=1e-6)
        assert np.abs(expected).max() > 1e-3
        assert relative_error(tape.gradient(loss, inputs), expected) < 1e-6

    def test_the_reference_set_has_its_own(self, rng):
        loss_of = gsp_tf.ContrastiveLoss(0.1, 0.6)
        embeddings, references = 1 + 0.4 * rng.normal(size=(4, 3)), 1 + 0.4 * rng.normal(size=(5, 3))
        labels, ref_labels = [0, 0, 1, 2], [0, 1, 1, 2, 2]
        inputs, others = tf.constant(embeddings), tf.constant(references)
        with tf.GradientTape() as tape:
            tape.watch([inputs, others])
            loss = loss_of(labels, inputs, ref_labels, others)
        actual = tape.gradient(loss, [inputs, others])
        for gradient, expected in zip(actual, [
            numeric_gradient(lambda stack: [loss_of(labels, x, ref_labels, references) for x in stack], embeddings, 1e-6),
            numeric_gradient(lambda stack: [loss_of(labels, embeddings, ref_labels, x) for x in stack], references, 1e-6),
        ], strict=True):
            assert relative_error(gradient, expected) < 1e-6

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
    @pytest.mark.parametrize("kind", ["duplicates", "zeros", "huge", "tiny"])
    def test_degenerate_embeddings_are_finite(self, kind, dtype, rng):
        embeddings = {
            "duplicates": np.repeat(rng.normal(size=(2, 5)), [4, 3], axis=0), "zeros": np.zeros((7, 5)),
            "huge": 6e4 * rng.uniform(-1, 1, (7, 5)), "tiny": 1e-4 * rng.normal(size=(7, 5)),
        }[kind]
        inputs = tf.cast(embeddings, dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = gsp_tf.ContrastiveLoss(0.0, 0.5)(LABELS["uneven"], inputs)
        assert loss.dtype == (tf.float64 if dtype == "float64" else tf.float32)
        assert np.isfinite(loss) and np.all(np.isfinite(tf.cast(tape.gradient(loss, inputs), tf.float32)))


class TestInAModel:
    @pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
    def test_compile_and_fit(self, policy, rng):
        keras.mixed_precision.set_global_policy(policy)
        images = keras.Input((4, 4, 3))
        model = keras.Model(images, gsp_tf.L2Normalize()(gsp_tf.GSPLayer(5)(keras.layers.Conv2D(6, 1)(images))))
        model.compile(keras.optimizers.SGD(1e-2), loss=gsp_tf.ContrastiveLoss(0.1, 0.9))
        x, labels = rng.normal(size=(7, 4, 4, 3)).astype(np.float32), np.array(LABELS["uneven"])
        expected = contrastive(labels, tf.cast(model(x), tf.float32).numpy(), 0.1, 0.9)
        history = model.fit(x, labels, batch_size=7, verbose=0)
        limit = {"float32": 1e-5, "mixed_float16": 1e-2, "mixed_bfloat16": 5e-2}[policy]
        np.testing.assert_allclose(history.history["loss"][0], expected, rtol=limit)
        assert all(np.all(np.isfinite(tf.convert_to_tensor(v))) for v in model.trainable_variables)

    def test_compiled_equals_eager(self, rng):
        embeddings, labels = tf.constant(1 + rng.normal(size=(7, 4)), tf.float32), tf.constant(LABELS["uneven"])
        loss = gsp_tf.ContrastiveLoss(0.1, 0.6)
        compiled = tf.function(lambda y, x: loss(y, x), jit_compile=True)(labels, embeddings)
        np.testing.assert_allclose(compiled, loss(labels, embeddings), rtol=1e-6)

    def test_config_round_trip(self):
        loss = gsp_tf.ContrastiveLoss(0.2, 0.7, normalize=False, name="c2")
        config = loss.get_config()
        assert config == {"pos_margin": 0.2, "neg_margin": 0.7, "normalize": False, "name": "c2"}
        copy = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(copy) is gsp_tf.ContrastiveLoss and copy.get_config() == config


class TestErrors:
    def test_margins(self):
        with pytest.raises(ValueError, match=r"pos_margin must be a number in \[0, inf\); got -0.1"):
            gsp_tf.ContrastiveLoss(pos_margin=-0.1)
        with pytest.raises(ValueError, match=r"neg_margin must be a number in \(0, inf\); got 0"):
            gsp_tf.ContrastiveLoss(neg_margin=0)
