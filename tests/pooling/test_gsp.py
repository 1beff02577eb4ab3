import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from gsp_tf.pooling.exponent import positive_exponent
from gsp_tf.pooling.gem import GeMPooling
from tests.finite_differences import numeric_gradient, one_by_one, relative_error
from tests.reference.poolings import gsp_sample

BOTH = {"return_histogram": True, "return_weights": True}
HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def layer_with(prototypes, dtype="float64", **kwargs):
    """A built layer with these prototypes."""
    layer = gsp_tf.GSPLayer(len(prototypes), dtype=dtype, **kwargs)
    layer.build((None, None, prototypes.shape[1]))
    layer.prototypes.assign(tf.cast(prototypes, layer.variable_dtype))
    return layer


@pytest.mark.parametrize("reduce", ["sum", "sum+max", "max", "gem"])
@pytest.mark.parametrize(("mu", "epsilon"), [(0.3, 5.0), (0.95, 0.1), (1.0, 5.0), (0.05, 50.0)])
def test_equals_loops(mu, epsilon, reduce, rng):
    features, prototypes = rng.normal(size=(3, 8, 4)), rng.normal(size=(5, 4)) * [[0.1], [0.3], [1], [2], [3]]
    mask = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)
    layer = layer_with(prototypes, mu=mu, epsilon=epsilon, reduce=reduce)
    for valid in (None, mask):
        results = layer(features, mask=valid, **BOTH)
        for b in range(3):
            expected = gsp_sample(features[b], prototypes, mu, epsilon, reduce, None if valid is None else valid[b])
            for actual, values in zip(results, expected, strict=True):
                np.testing.assert_allclose(actual[b], values, rtol=0, atol=1e-12)


def test_the_ratio_keeps_its_digits_in_float64():
    # 0.3 by way of float32 is 0.30000001.
    layer = gsp_tf.GSPLayer(2, mu=0.3, dtype="float64")
    layer.build((None, 4, 3))
    assert float(tf.convert_to_tensor(layer.mu)) == 0.3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mu", [0.01, 0.3, 0.999, 1.0])
def test_weights_and_histogram_are_distributions(mu, dtype, rng):
    limit = {"float32": 1e-5, "float64": 1e-12}[dtype]
    for epsilon in (0.01, 5.0, 1000.0):
        layer = layer_with(rng.normal(size=(7, 4)), dtype=dtype, mu=mu, epsilon=epsilon)
        _, histogram, weights = (r.numpy() for r in layer(tf.constant(rng.normal(size=(4, 7, 7, 4)), dtype), **BOTH))
        np.testing.assert_allclose(weights.sum(axis=(1, 2), dtype=np.float64), 1, atol=limit)
        np.testing.assert_allclose(histogram.sum(axis=1, dtype=np.float64), 1, atol=limit)
        assert weights.min() >= 0 and weights.max() <= (1 + limit) / (49 * mu)
        assert histogram.min() >= 0


def test_moving_everything_is_average_pooling(rng):
    features = tf.constant(rng.normal(size=(4, 7, 7, 16)), tf.float32)
    pooled, weights = gsp_tf.GSPLayer(8, mu=1.0)(features, return_weights=True)
    np.testing.assert_array_equal(weights, np.full((4, 7, 7), np.float32(1 / 49)))
    np.testing.assert_allclose(pooled, gsp_tf.GAPPooling()(features), rtol=0, atol=2e-7)


def test_moving_everything_with_max_is_max_pooling(rng):
    features = tf.constant(rng.normal(size=(4, 7, 7, 16)))
    pooled = gsp_tf.GSPLayer(8, mu=1.0, reduce="max", dtype="float64")(features)
    np.testing.assert_allclose(pooled, gsp_tf.GMPPooling(dtype="float64")(features), rtol=1e-15)


def test_moving_everything_with_sum_and_max_is_their_sum(rng):
    features = rng.normal(size=(4, 7, 7, 16))
    pooled = gsp_tf.GSPLayer(8, mu=1.0, reduce="sum+max", dtype="float64")(features)
    np.testing.assert_allclose(pooled, gsp_tf.GAPGMPPooling(dtype="float64")(features), rtol=1e-13)


@pytest.mark.parametrize("p", [0.5, 3.0, 10.0])
def test_moving_everything_with_a_generalised_mean_is_gem(p, rng):
    features, gem = tf.constant(rng.normal(size=(4, 7, 7, 16))), GeMPooling(p, dtype="float64")
    expected = gem(features)
    layer = layer_with(rng.normal(size=(8, 16)), mu=1.0, reduce="gem")
    np.testing.assert_allclose(positive_exponent(layer.raw_p, tf.float64), 3, rtol=1e-14)
    layer.raw_p.assign(gem.raw_p)
    np.testing.assert_allclose(layer(features), expected, rtol=1e-13)


def test_features_near_a_prototype_are_kept(rng):
    features = np.concatenate([rng.normal(size=(3, 4)) * 0.01 + [1, 0, 0, 0], rng.normal(size=(7, 4)) * 0.01 - [1, 0, 0, 0]])
    layer = layer_with(np.array([[1.0, 0, 0, 0]]), mu=0.3, epsilon=100.0)
    pooled, weights = layer(features[np.newaxis], return_weights=True)
    np.testing.assert_allclose(weights[0], [1 / 3] * 3 + [0] * 7, atol=1e-12)
    np.testing.assert_allclose(pooled[0], features[:3].mean(axis=0), atol=1e-12)


class TestLayouts:
    def test_all_layouts_pool_the_same_features(self, rng):
        tokens, prototypes = rng.normal(size=(2, 12, 4)), rng.normal(size=(5, 4))
        layer = layer_with(prototypes)
        pooled, histogram, weights = layer(tokens, **BOTH)
        for spatial in [(3, 4), (2, 3, 2)]:
            last = tokens.reshape(2, *spatial, 4)
            for data_format, inputs in [("channels_last", last), ("channels_first", np.moveaxis(last, -1, 1))]:
                layer = gsp_tf.GSPLayer(5, dtype="float64", data_format=data_format)
                layer.build(inputs.shape)
                layer.prototypes.assign(prototypes)
                other = layer(inputs, **BOTH)
                np.testing.assert_allclose(other[0], pooled, rtol=0, atol=1e-14)
                np.testing.assert_allclose(other[1], histogram, rtol=0, atol=1e-14)
                assert other[2].shape == (2, *spatial)
                np.testing.assert_allclose(np.reshape(other[2], (2, 12)), weights, rtol=0, atol=1e-14)

    def test_channels_first_tokens(self, rng):
        tokens, prototypes = rng.normal(size=(2, 12, 4)), rng.normal(size=(5, 4))
        layer = gsp_tf.GSPLayer(5, dtype="float64", data_format="channels_first")
        layer.build((None, 4, None))
        layer.prototypes.assign(prototypes)
        np.testing.assert_allclose(layer(np.moveaxis(tokens, 1, 2)), layer_with(prototypes)(tokens), rtol=0, atol=1e-14)

    def test_the_results_asked_for_come_in_order(self, rng):
        layer, tokens = layer_with(rng.normal(size=(5, 4))), rng.normal(size=(2, 12, 4))
        pooled, histogram, weights = layer(tokens, **BOTH)
        np.testing.assert_array_equal(layer(tokens), pooled)
        for name, expected in [("return_histogram", histogram), ("return_weights", weights)]:
            first, second = layer(tokens, **{name: True})
            np.testing.assert_array_equal(first, pooled)
            np.testing.assert_array_equal(second, expected)

    @pytest.mark.parametrize(
        ("data_format", "inputs", "spatial"),
        [
            ("channels_last", (7, 5, 4), (7, 5)), ("channels_last", (None, None, 4), (None, None)),
            ("channels_last", (None, 3, 2, 4), (None, 3, 2)), ("channels_first", (4, None, None), (None, None)),
        ],
    )
    def test_symbolic_shapes(self, data_format, inputs, spatial):
        pooled, histogram, weights = gsp_tf.GSPLayer(6, data_format=data_format)(keras.Input(inputs), **BOTH)
        assert tuple(pooled.shape) == (None, 4)
        assert tuple(histogram.shape) == (None, 6)
        assert tuple(weights.shape) == (None, *spatial)

    def test_static_shapes_are_the_same_in_training_and_inference(self):
        images = keras.Input((None, None, 4))
        model = keras.Model(images, gsp_tf.GSPLayer(6)(images, **BOTH))
        shapes = []
        for training in (True, False):
            function = tf.function(lambda x, training=training: model(x, training=training))
            traced = function.get_concrete_function(tf.TensorSpec((None, None, None, 4)))
            shapes.append([tuple(shape) for shape in traced.output_shapes])
        assert shapes[0] == shapes[1] == [(None, 4), (None, 6), (None, None, None)]

    def test_one_model_pools_images_of_all_sizes(self, rng):
        images = keras.Input((None, None, 4))
        layer = gsp_tf.GSPLayer(6)
        model = keras.Model(images, layer(images))
        for size in [(1, 1), (3, 5), (8, 2)]:
            x = rng.normal(size=(2, *size, 4)).astype(np.float32)
            np.testing.assert_allclose(model(x), layer(x), rtol=0, atol=1e-6)


class TestMask:
    def test_a_keras_mask_arrives_by_itself(self, rng):
        tokens = rng.normal(size=(3, 9, 4)).astype(np.float32)
        lengths = [9, 5, 0]
        for b, length in enumerate(lengths):
            tokens[b, length:] = 0
        inputs = keras.Input((None, 4))
        layer = gsp_tf.GSPLayer(6)
        model = keras.Model(inputs, layer(keras.layers.Masking()(inputs), **BOTH))
        pooled, histogram, weights = (result.numpy() for result in model(tokens))
        for b, length in enumerate(lengths[:2]):
            expected = [r.numpy()[0] for r in layer(tokens[b : b + 1, :length], **BOTH)]
            np.testing.assert_allclose(pooled[b], expected[0], rtol=0, atol=1e-6)
            np.testing.assert_allclose(histogram[b], expected[1], rtol=0, atol=1e-6)
            np.testing.assert_allclose(weights[b, :length], expected[2], rtol=0, atol=1e-6)
            assert not weights[b, length:].any()
        assert not pooled[2].any() and not histogram[2].any() and not weights[2].any()

    def test_the_result_has_no_mask(self):
        inputs = keras.Input((9, 4))
        layer = gsp_tf.GSPLayer(6)
        assert layer.compute_mask(inputs, tf.ones((2, 9), tf.bool)) is None

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_a_mask_of_the_spatial_shape(self, data_format, rng):
        images, mask = rng.normal(size=(2, 3, 4, 5)), rng.uniform(size=(2, 3, 4)) < 0.6
        layer = layer_with(rng.normal(size=(6, 5)))
        expected = layer(images.reshape(2, 12, 5), mask=mask.reshape(2, 12), **BOTH)
        layer.data_format = data_format
        inputs = images if data_format == "channels_last" else np.moveaxis(images, -1, 1)
        actual = layer(inputs, mask=mask, **BOTH)
        np.testing.assert_allclose(actual[0], expected[0], rtol=0, atol=1e-14)
        np.testing.assert_allclose(np.reshape(actual[2], (2, 12)), expected[2], rtol=0, atol=1e-14)

    @pytest.mark.parametrize("reduce", ["sum", "sum+max", "max", "gem"])
    @pytest.mark.parametrize("padding", [0.0, 1e30, np.nan, np.inf])
    def test_padding_may_hold_anything(self, padding, reduce, rng):
        tokens, mask = rng.normal(size=(3, 9, 4)), np.arange(9) < np.array([[9], [5], [0]])
        layer = layer_with(rng.normal(size=(6, 4)), reduce=reduce)
        inputs = tf.constant(np.where(mask[..., np.newaxis], tokens, padding))
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            results = layer(inputs, mask=mask, **BOTH)
            loss = sum(tf.reduce_sum(tf.square(result)) for result in results)
        d_inputs, *d_weights = tape.gradient(loss, [inputs, *layer.trainable_variables])
        for result, clean in zip(results, layer(tokens, mask=mask, **BOTH), strict=True):
            np.testing.assert_array_equal(result, clean)
        assert all(np.all(np.isfinite(gradient)) for gradient in (d_inputs, *d_weights))
        assert not d_inputs.numpy()[~mask].any()


class TestGradient:
    @pytest.mark.parametrize("reduce", ["sum", "sum+max", "max", "gem"])
    @pytest.mark.parametrize("masked", [False, True])
    def test_equals_finite_differences(self, masked, reduce, rng):
        # Features and prototypes on both sides of the unit sphere, where the distance sees them clipped.
        features = rng.normal(size=(6, 3)) * [[0.2], [0.3], [0.4], [2], [3], [1]]
        prototypes = rng.normal(size=(4, 3)) * [[0.3], [0.4], [2], [3]]
        parts = [rng.normal(size=size) for size in (3, 4, 6)]
        mask = np.array([[1, 0, 1, 1, 1, 1]], bool) if masked else None
        layer = layer_with(prototypes, mu=0.4, reduce=reduce)

        def losses(stack):
            valid = None if mask is None else np.repeat(mask, len(stack), axis=0)
            return sum(
                tf.reduce_sum(part * result, axis=1)
                for part, result in zip(parts, layer(stack, mask=valid, **BOTH), strict=True)
            )

        def of_weight(variable):
            start = np.array(tf.convert_to_tensor(variable))

            def loss(value):
                variable.assign(value)
                return losses(features[np.newaxis])[0]

            gradient = numeric_gradient(one_by_one(loss), start)
            variable.assign(start)
            return gradient

        inputs = tf.constant(features[np.newaxis])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = losses(inputs)
        d_inputs, *d_weights = tape.gradient(loss, [inputs, *layer.trainable_variables])
        assert relative_error(d_inputs[0], numeric_gradient(losses, features)) < 1e-6
        for variable, gradient in zip(layer.trainable_variables, d_weights, strict=True):
            assert relative_error(gradient, of_weight(variable)) < 1e-6

    @pytest.mark.parametrize(("reduce", "shapes"), [("sum", [(5, 3)]), ("max", [(5, 3)]), ("gem", [(5, 3), ()])])
    def test_only_prototypes_and_the_exponent_are_trained(self, reduce, shapes):
        layer = gsp_tf.GSPLayer(5, reduce=reduce)
        layer.build((None, 4, 3))
        assert [tuple(variable.shape) for variable in layer.trainable_variables] == shapes
        assert [tuple(variable.shape) for variable in layer.non_trainable_variables] == [()]


def degenerate(kind, rng):
    """(features, prototypes) at which something divides by zero or overflows unless it is guarded."""
    features, prototypes = rng.normal(size=(2, 6, 4)), rng.normal(size=(5, 4))
    return {
        "zeros": lambda: (0 * features, prototypes),
        "zeros and zero prototypes": lambda: (0 * features, 0 * prototypes),
        "equal": lambda: (np.repeat(features[:, :1], 6, axis=1), prototypes),
        "huge": lambda: (1e6 * features, prototypes),
        "huge and huge prototypes": lambda: (1e6 * features, 1e6 * prototypes),
        "huge among zeros": lambda: (features * 1e6 * (np.arange(6) == 2)[:, np.newaxis], prototypes),
        "prototypes on features": lambda: (features, features[0, :5]),
        "prototypes on features in the ball": lambda: (0.1 * features, 0.1 * features[1, :5]),
        "equal to the prototypes": lambda: (np.ones((2, 6, 4)), np.ones((5, 4))),
        "one feature": lambda: (features[:, :1], prototypes),
        "one prototype": lambda: (features, prototypes[:1]),
        "no sample": lambda: (features[:0], prototypes),
    }[kind]()


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "kind",
    ["zeros", "zeros and zero prototypes", "equal", "huge", "huge and huge prototypes", "huge among zeros",
     "prototypes on features", "prototypes on features in the ball", "equal to the prototypes", "one feature",
     "one prototype", "no sample"],
)
def test_degenerate_inputs_give_finite_results_and_gradients(kind, dtype, rng):
    features, prototypes = degenerate(kind, rng)
    if dtype == "mixed_float16":
        # A maximum is of f_j/μ at most, which has to be within float16's 65,504.
        features = np.clip(features, -1.8e4, 1.8e4)
    only_the_first = (np.arange(features.shape[1]) < np.array([[features.shape[1]], [0]]))[: len(features)]
    for mu, epsilon, reduce, mask in [
        (0.3, 5.0, "sum", None), (1.0, 1000.0, "sum", only_the_first), (0.999, 0.01, "max", only_the_first),
        (0.3, 5.0, "gem", only_the_first),
    ]:
        layer = layer_with(prototypes, dtype=dtype, mu=mu, epsilon=epsilon, reduce=reduce)
        inputs = tf.cast(features, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            results = layer(inputs, mask=mask, **BOTH)
            loss = sum(tf.reduce_sum(tf.cast(result, tf.float64)) for result in results)
        for tensor in (*results, *tape.gradient(loss, [inputs, *layer.trainable_variables])):
            assert np.all(np.isfinite(tf.cast(tensor, tf.float64).numpy())), (mu, epsilon, reduce)
        if mask is not None and len(features):
            assert not any(tf.cast(result[1], tf.float64).numpy().any() for result in results)


class TestHalfPrecision:
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
    def test_agrees_with_float32_to_its_own_rounding(self, policy, rng):
        half = policy.removeprefix("mixed_")
        features = tf.cast(rng.normal(size=(4, 7, 7, 8)), half)
        prototypes = tf.cast(rng.normal(size=(6, 8)), half) if policy == half else rng.normal(size=(6, 8))
        # In bfloat16 0.999 is 1, which would be average pooling.
        for mu, epsilon in [(0.3, 5.0), (0.999, 20.0)]:
            single = layer_with(prototypes, dtype="float32", mu=mu, epsilon=epsilon)
            expected = [result.numpy() for result in single(tf.cast(features, tf.float32), **BOTH)]
            results = layer_with(prototypes, dtype=policy, mu=mu, epsilon=epsilon)(features, **BOTH)
            for actual, value in zip(results, expected, strict=True):
                assert actual.dtype == tf.as_dtype(half)
                np.testing.assert_allclose(tf.cast(actual, tf.float32), value, rtol=HALF[half], atol=1e-6)

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_the_global_policy_casts_the_inputs(self, policy, rng):
        keras.mixed_precision.set_global_policy(policy)
        half = policy.removeprefix("mixed_")
        images = keras.Input((4, 4, 8))
        model = keras.Model(images, gsp_tf.GSPLayer(6)(images, **BOTH))
        x = rng.normal(size=(2, 4, 4, 8)).astype(np.float32)
        results = model(x)
        assert [result.dtype for result in results] == [tf.as_dtype(half)] * 3
        single = layer_with(np.asarray(tf.convert_to_tensor(model.layers[-1].trainable_variables[0])), dtype="float32")
        for actual, expected in zip(results, single(tf.cast(tf.cast(x, half), tf.float32), **BOTH), strict=True):
            np.testing.assert_allclose(tf.cast(actual, tf.float32), expected, rtol=HALF[half], atol=1e-6)

    def test_the_gradient_of_the_prototypes_is_not_rounded_to_half(self, rng):
        layer = layer_with(rng.normal(size=(6, 8)), dtype="mixed_float16")
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(tf.cast(layer(rng.normal(size=(2, 9, 8))), tf.float32)))
        (gradient,) = tape.gradient(loss, layer.trainable_variables)
        assert np.any(gradient.numpy() != gradient.numpy().astype(np.float16))


@pytest.mark.parametrize(
    ("dtype", "reduce", "limit"), [("float32", "sum", 2e-6), ("mixed_bfloat16", "max", 2e-2), ("float32", "gem", 2e-5)]
)
def test_compiled_equals_eager(dtype, reduce, limit, rng):
    layer = layer_with(rng.normal(size=(6, 4)), dtype=dtype, reduce=reduce)
    images = tf.constant(rng.normal(size=(3, 5, 5, 4)), layer.compute_dtype)
    mask = tf.constant(rng.uniform(size=(3, 5, 5)) < 0.7)

    def step(images, mask):
        with tf.GradientTape() as tape:
            tape.watch(images)
            results = layer(images, mask=mask, **BOTH)
            loss = tf.reduce_sum(tf.square(tf.cast(results[0], tf.float32)))
        return (*results, *tape.gradient(loss, [images, *layer.trainable_variables]))

    for actual, expected in zip(tf.function(step, jit_compile=True)(images, mask), step(images, mask), strict=True):
        np.testing.assert_allclose(tf.cast(actual, tf.float32), tf.cast(expected, tf.float32), rtol=limit, atol=limit)


def test_config_round_trip(rng):
    layer = gsp_tf.GSPLayer(
        6, mu=0.7, epsilon=0.5, reduce="max", prototype_initializer=keras.initializers.HeNormal(seed=3),
        data_format="channels_first", name="pool", dtype="float64",
    )
    config = json.loads(json.dumps(layer.get_config()))
    copy = gsp_tf.GSPLayer.from_config(config)
    assert copy.get_config() == layer.get_config()
    # The schedule of a callback is no part of the configuration.
    inputs = rng.normal(size=(2, 4, 5))
    layer(inputs)
    layer.mu.assign(1.0)
    assert layer.get_config()["mu"] == 0.7
    copy(inputs)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(inputs), layer(inputs))


class TestErrors:
    @pytest.mark.parametrize("mu", [0, -1, 1.1, "0.3", None, float("nan")])
    def test_mu(self, mu):
        with pytest.raises(ValueError, match=r"mu must be a number in \(0, 1\]; got "):
            gsp_tf.GSPLayer(4, mu=mu)

    @pytest.mark.parametrize("epsilon", [0, -1, float("inf"), None])
    def test_epsilon(self, epsilon):
        with pytest.raises(ValueError, match=r"epsilon must be a number in \(0, inf\); got "):
            gsp_tf.GSPLayer(4, epsilon=epsilon)

    @pytest.mark.parametrize("count", [0, 2.5, "4", None])
    def test_num_prototypes(self, count):
        with pytest.raises(ValueError, match="num_prototypes must be a whole number of at least 1; got "):
            gsp_tf.GSPLayer(count)

    def test_choices(self):
        with pytest.raises(ValueError, match=r"reduce must be one of 'sum', 'sum\+max', 'max', 'gem'; got 'mean'"):
            gsp_tf.GSPLayer(4, reduce="mean")
        with pytest.raises(ValueError, match="data_format must be one of 'channels_last', 'channels_first'; got 'NHWC'"):
            gsp_tf.GSPLayer(4, data_format="NHWC")

    @pytest.mark.parametrize("shape", [(2, 4), (2, 1, 1, 1, 3, 4)])
    def test_rank(self, shape):
        with pytest.raises(ValueError, match=r"inputs must have shape \(B, n, d\), .* of rank "):
            gsp_tf.GSPLayer(4)(tf.zeros(shape))

    def test_feature_dimension(self):
        with pytest.raises(ValueError, match="the feature dimension of inputs must be known; got shape"):
            gsp_tf.GSPLayer(4).build((None, 7, 7, None))

    def test_no_feature(self):
        with pytest.raises(ValueError, match=r"inputs must have at least one local feature; got shape \(2, 0, 4\)"):
            gsp_tf.GSPLayer(4)(tf.zeros((2, 0, 4)))

    def test_dtype(self):
        with pytest.raises(TypeError, match="inputs must hold floating-point numbers; got dtype int32: convert it"):
            gsp_tf.GSPLayer(4)(tf.zeros((2, 7, 4), tf.int32))

    def test_a_ratio_assigned_out_of_range(self):
        layer = gsp_tf.GSPLayer(4)
        layer.build((None, 7, 3))
        layer.mu.assign(0.0)
        with pytest.raises(ValueError, match=r"mu must be in \(0, 1\]; got 0"):
            layer(tf.zeros((2, 7, 3)))
