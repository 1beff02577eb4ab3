import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from tests.finite_differences import numeric_gradient, one_by_one, relative_error
from tests.reference.zero_shot import zero_shot_loss

LABELS = {
    "pairs": [0, 0, 1, 1, 2, 2, 3, 3],
    "uneven": [4, 4, 4, 4, 4, 0, 2, 2],
    "mixed order": [3, 1, 4, 1, 0, 3, 4, 2],
    "two classes": [1, 1, 1, 1, 1, 1, 1, 0],
    "all distinct": [4, 3, 2, 1, 0, 5, 7, 6],
}


def layer_with(embeddings, dtype="float64", **kwargs):
    """A built layer with these label embeddings."""
    layer = gsp_tf.ZeroShotRegularizer(len(embeddings), embedding_dim=embeddings.shape[1], dtype=dtype, **kwargs)
    layer.build([(None, 3), (None,)])
    layer.label_embeddings.assign(tf.cast(embeddings, layer.variable_dtype))
    return layer


def problem(rng, batch=8, size=5, num_classes=8, dim=4):
    histogram = rng.uniform(size=(batch, size))
    return histogram / histogram.sum(axis=1, keepdims=True), rng.normal(size=(num_classes, dim))


class TestValue:
    @pytest.mark.parametrize("size", [3, 20], ids=["B > m", "B < m"])
    @pytest.mark.parametrize("kind", list(LABELS))
    def test_equals_loops(self, kind, size, rng):
        histogram, embeddings = problem(rng, size=size)
        for ridge, scale in [(0.05, 1.0), (0.3, 9.5)]:
            expected = zero_shot_loss(histogram, LABELS[kind], embeddings, ridge, scale)
            layer = layer_with(embeddings, ridge=ridge, scale=scale)
            np.testing.assert_allclose(layer.zero_shot_loss(histogram, LABELS[kind]), expected, rtol=1e-11)
            assert expected > 0.1

    def test_both_forms_of_an_unknown_batch_size(self, rng):
        for size in (3, 20):
            histogram, embeddings = problem(rng, size=size)
            layer = layer_with(embeddings)
            signature = [tf.TensorSpec((None, size), tf.float64), tf.TensorSpec((None,), tf.int64)]
            loss = tf.function(layer.zero_shot_loss, input_signature=signature)(histogram, LABELS["uneven"])
            np.testing.assert_allclose(loss, layer.zero_shot_loss(histogram, LABELS["uneven"]), rtol=1e-12)

    def test_the_weighted_loss_is_added_in_training_only(self, rng):
        histogram, embeddings = problem(rng)
        layer = layer_with(embeddings, weight=0.3)
        result = layer([histogram, tf.constant(LABELS["pairs"])], training=True)
        np.testing.assert_array_equal(result, histogram)
        (loss,) = layer.losses
        np.testing.assert_allclose(loss, 0.3 * zero_shot_loss(histogram, LABELS["pairs"], embeddings, 0.05, 1), rtol=1e-11)
        for kwargs in ({"training": False}, {}):
            np.testing.assert_array_equal(layer([histogram, tf.constant(LABELS["pairs"])], **kwargs), histogram)
            assert not layer.losses

    @pytest.mark.parametrize("labels", [[2] * 8, [0]], ids=["one class", "one sample"])
    def test_fewer_than_two_classes_give_0_and_zero_gradients(self, labels, rng):
        histogram, embeddings = problem(rng, batch=len(labels))
        layer, inputs = layer_with(embeddings), tf.constant(histogram)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = layer.zero_shot_loss(inputs, labels)
        assert loss.numpy() == 0
        for gradient in tape.gradient(loss, [inputs, *layer.trainable_variables]):
            assert not tf.convert_to_tensor(gradient).numpy().any()

    def test_a_ridge_below_rounding_is_raised_to_it(self, rng):
        # Of the six directions a half of equal samples has one: in float32 the factor of the rest would be NaN.
        histogram, embeddings = np.full((8, 6), 1 / 6), rng.normal(size=(8, 4))
        exact = layer_with(embeddings, ridge=1e-6).zero_shot_loss(histogram, LABELS["pairs"])
        for ridge in (1e-6, 1e-12):
            single = layer_with(embeddings, dtype="float32", ridge=ridge)
            loss = single.zero_shot_loss(tf.constant(histogram, tf.float32), LABELS["pairs"])
            np.testing.assert_allclose(loss, exact, rtol=1e-3)

    @pytest.mark.parametrize("form", ["int32", "uint8", "float32", "column", "float column"])
    def test_the_forms_of_labels(self, form, rng):
        histogram, embeddings = problem(rng)
        labels = np.array(LABELS["uneven"], "float32" if form.startswith("float") else "int32")
        labels = labels[:, np.newaxis] if "column" in form else labels.astype(form)
        layer = layer_with(embeddings)
        expected = layer.zero_shot_loss(histogram, LABELS["uneven"])
        np.testing.assert_array_equal(layer.zero_shot_loss(histogram, labels), expected)


class TestGradient:
    @pytest.mark.parametrize("size", [3, 12], ids=["B > m", "B < m"])
    def test_equals_finite_differences(self, size, rng):
        histogram, embeddings = problem(rng, size=size)
        layer, inputs = layer_with(embeddings, scale=2.0), tf.constant(histogram)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = layer.zero_shot_loss(inputs, LABELS["mixed order"])
        d_histogram, d_embeddings = map(tf.convert_to_tensor, tape.gradient(loss, [inputs, *layer.trainable_variables]))

        def at(embeddings):
            layer.label_embeddings.assign(embeddings)
            return compiled(tf.constant(histogram))

        compiled = tf.function(lambda values: layer.zero_shot_loss(values, LABELS["mixed order"]))
        expected = numeric_gradient(one_by_one(lambda values: compiled(tf.constant(values))), histogram)
        assert relative_error(d_histogram, expected) < 1e-6
        assert relative_error(d_embeddings, numeric_gradient(one_by_one(at), embeddings)) < 1e-6

    @pytest.mark.parametrize("kind", ["zeros", "equal", "one-hot", "huge"])
    @pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
    def test_degenerate_histograms_are_finite(self, kind, dtype, rng):
        _, embeddings = problem(rng, size=6)
        histogram = {
            "zeros": np.zeros((8, 6)), "equal": np.full((8, 6), 1 / 6), "one-hot": np.eye(6)[np.arange(8) % 6],
            "huge": 6e4 * rng.uniform(-1, 1, (8, 6)),
        }[kind]
        layer = layer_with(embeddings, dtype=dtype, scale=9.5)
        inputs = tf.cast(histogram, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = layer.zero_shot_loss(inputs, LABELS["uneven"])
        for tensor in (loss, *map(tf.convert_to_tensor, tape.gradient(loss, [inputs, *layer.trainable_variables]))):
            assert np.all(np.isfinite(tf.cast(tensor, tf.float32)))


class TestPrecisionAndCompilation:
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_half_precision_is_computed_in_float32(self, policy, rng):
        histogram, embeddings = problem(rng)
        half = tf.cast(histogram, policy.removeprefix("mixed_"))
        layer = layer_with(embeddings, dtype=policy)
        result = layer([half, tf.constant(LABELS["pairs"])], training=True)
        assert result.dtype == half.dtype
        (loss,) = layer.losses
        expected = 0.1 * layer_with(embeddings).zero_shot_loss(tf.cast(half, tf.float64), LABELS["pairs"])
        assert loss.dtype == tf.float32
        np.testing.assert_allclose(loss, expected, rtol=1e-5)

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_float_labels_are_not_rounded_to_half(self, policy, rng):
        # float16 has no 2,049 and bfloat16 no 257.
        histogram, embeddings = problem(rng, num_classes=2050)
        labels = np.array([257, 256, 2049, 2048, 257, 256, 2049, 2048])
        layer = layer_with(embeddings, dtype=policy)
        losses = []
        for values in (labels, labels.astype(np.float32)):
            layer([tf.constant(histogram, tf.float32), tf.constant(values)], training=True)
            losses.append(layer.losses[0].numpy())
        assert losses[0] == losses[1]

    @pytest.mark.parametrize("size", [3, 20], ids=["B > m", "B < m"])
    def test_compiled_equals_eager(self, size, rng):
        histogram, embeddings = problem(rng, size=size)
        layer = layer_with(embeddings, dtype="float32")

        def step(histogram, labels):
            with tf.GradientTape() as tape:
                tape.watch(histogram)
                loss = layer.zero_shot_loss(histogram, labels)
            return loss, tape.gradient(loss, histogram)

        arguments = tf.constant(histogram, tf.float32), tf.constant(LABELS["uneven"])
        for actual, expected in zip(tf.function(step, jit_compile=True)(*arguments), step(*arguments), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


class TestInAModel:
    def test_fit_trains_the_label_embeddings(self, rng):
        tokens, labels = keras.Input((6, 4)), keras.Input((), dtype="int32")
        pool = gsp_tf.GSPLayer(5)
        pooled, histogram = pool(tokens, return_histogram=True)
        regularizer = gsp_tf.ZeroShotRegularizer(4, weight=0.5)
        model = keras.Model([tokens, labels], [pooled, regularizer([histogram, labels])])
        assert [tuple(output.shape) for output in model.outputs] == [(None, 4), (None, 5)]
        # No other loss: what changes, changes by the regulariser.
        model.compile(keras.optimizers.SGD(1.0))
        before = [tf.convert_to_tensor(v).numpy().copy() for v in model.trainable_variables]
        x = rng.normal(size=(8, 6, 4)).astype(np.float32), np.array(LABELS["pairs"], np.int32)
        data = tf.data.Dataset.from_tensors((x,))
        expected = 0.5 * regularizer.zero_shot_loss(pool(x[0], return_histogram=True)[1], x[1])
        history = model.fit(data, shuffle=False, verbose=0)
        np.testing.assert_allclose(history.history["loss"][0], expected, rtol=1e-5)
        assert len(before) == 2
        for variable, value in zip(model.trainable_variables, before, strict=True):
            assert np.abs(tf.convert_to_tensor(variable).numpy() - value).max() > 0

    def test_config_round_trip(self):
        layer = gsp_tf.ZeroShotRegularizer(
            9, embedding_dim=7, weight=0.2, ridge=0.01, scale=9.5, name="zsr", dtype="float64",
            label_initializer=keras.initializers.RandomUniform(-0.1, 0.1, seed=2),
        )
        copy = gsp_tf.ZeroShotRegularizer.from_config(json.loads(json.dumps(layer.get_config())))
        assert copy.get_config() == layer.get_config()
        copy.build([(None, 3), (None,)])
        assert tuple(copy.label_embeddings.shape) == (9, 7)
        assert np.abs(tf.convert_to_tensor(copy.label_embeddings)).max() <= 0.1
        plain = gsp_tf.ZeroShotRegularizer(9)
        assert gsp_tf.ZeroShotRegularizer.from_config(plain.get_config()).get_config() == plain.get_config()

    def test_label_embeddings_start_at_unit_expected_length(self):
        layer = gsp_tf.ZeroShotRegularizer(4000)
        layer.build([(None, 16), (None,)])
        embeddings = tf.convert_to_tensor(layer.label_embeddings).numpy()
        assert embeddings.shape == (4000, 16)
        np.testing.assert_allclose(np.mean(np.sum(embeddings**2, axis=1)), 1, rtol=0.05)

    def test_shapes(self):
        layer = gsp_tf.ZeroShotRegularizer(4)
        assert layer.compute_output_shape([(None, 5), (None,)]) == (None, 5)


class TestErrors:
    def test_arguments(self):
        for name, value, message in [
            ("num_classes", 1, "num_classes must be a whole number of at least 2; got 1"),
            ("embedding_dim", 0, "embedding_dim must be a whole number of at least 1; got 0"),
            ("weight", 1.5, r"weight must be a number in \[0, 1\]; got 1.5"),
            ("ridge", 0, r"ridge must be a number in \(0, inf\); got 0"),
            ("scale", -1, r"scale must be a number in \(0, inf\); got -1"),
        ]:
            with pytest.raises(ValueError, match=message):
                gsp_tf.ZeroShotRegularizer(**{"num_classes": 4, name: value})

    @pytest.mark.parametrize("label", [-1, 8, 1000])
    def test_a_label_outside_the_classes(self, label, rng):
        histogram, embeddings = problem(rng)
        layer = layer_with(embeddings)
        labels = tf.constant([label, *LABELS["pairs"][1:]])
        message = r"labels must be class indices in \[0, 8\)"
        with pytest.raises(ValueError, match=rf"{message}; got {label}: set num_classes to the number of training classes"):
            layer([histogram, labels], training=True)
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            tf.function(layer.zero_shot_loss)(tf.constant(histogram), labels)

    def test_labels_of_no_class(self, rng):
        histogram, embeddings = problem(rng)
        layer = layer_with(embeddings)
        with pytest.raises(ValueError, match="labels must be whole numbers, one class index per sample; got fractions"):
            layer([histogram, tf.fill(8, 0.5)], training=True)
        with pytest.raises(ValueError, match=r"labels must be one class index per sample, .* got shape \(8, 2\)"):
            layer([histogram, tf.zeros((8, 2), tf.int32)], training=True)

    def test_as_many_labels_as_samples(self, rng):
        histogram, embeddings = problem(rng)
        with pytest.raises(ValueError, match="labels must be as many as histogram, 8; got 1"):
            layer_with(embeddings)([histogram, tf.constant([3])], training=True)

    def test_rank_of_the_histogram(self, rng):
        _, embeddings = problem(rng)
        with pytest.raises(ValueError, match=r"histogram must have shape \(B, m\); got shape \(8, 1, 3\) of rank 3"):
            layer_with(embeddings)([tf.zeros((8, 1, 3), tf.float64), tf.constant(LABELS["pairs"])], training=True)
