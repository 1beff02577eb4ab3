import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from gsp_tf.pooling.uot import SOLVERS, UOTPooling
from tests.finite_differences import numeric_gradient, relative_error
from tests.fresh_process import run_python
from tests.pooling.cases_c import CASES
from tests.reference.unbalanced import pooled_sample

STARTS = {"alpha1": 0.8, "alpha2": 0.5, "alpha3": 2.0, "rho": 0.6}
HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def steps_of(layer):
    """The layer's steps as the reference takes them."""
    return [{name: float(value) for name, value in step._asdict().items()} for step in layer.step_weights()]


def scattered(layer):
    """Give the steps of a built layer weights of their own."""
    for k, raw in enumerate(layer.raw.values()):
        raw.assign(np.linspace(-0.5, 1.0, layer.num_steps) * (-1) ** k)
    return layer


@pytest.mark.parametrize("solver", SOLVERS)
class TestValues:
    def test_equals_loops(self, solver, rng):
        features = rng.normal(size=(3, 6, 4))
        mask = np.array([[1] * 6, [0, 1, 1, 0, 1, 0], [0] * 6], bool)
        for num_steps, shared in [(1, True), (4, True), (3, False)]:
            layer = UOTPooling(solver, num_steps, shared, dtype="float64", **STARTS)
            layer.build((None, None, 4))
            if not shared:
                scattered(layer)
            for valid in (None, mask):
                pooled = layer(features, mask=valid)
                for b in range(3):
                    expected = pooled_sample(solver, features[b], steps_of(layer), None if valid is None else valid[b])
                    np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-9)

    def test_the_order_of_places_has_no_effect_and_padding_is_as_if_absent(self, solver, rng):
        features, mask = rng.normal(size=(2, 9, 4)), np.array([1, 0, 1, 1, 0, 1, 1, 1, 0], bool)
        layer = UOTPooling(solver, dtype="float64")
        order = rng.permutation(9)
        np.testing.assert_allclose(layer(features[:, order]), layer(features), rtol=0, atol=1e-12)
        for padding in (0.0, 1e30, np.nan, np.inf):
            inputs = tf.constant(np.where(mask[:, np.newaxis], features, padding))
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                pooled = layer(inputs, mask=np.stack([mask, mask]))
            np.testing.assert_allclose(pooled, layer(features[:, mask]), rtol=0, atol=1e-12)
            for gradient in tape.gradient(pooled, [inputs, *layer.trainable_variables]):
                assert np.all(np.isfinite(gradient))

    def test_pools_within_the_range_of_each_channel(self, solver, rng):
        features = 3 * rng.normal(size=(4, 7, 7, 5)).astype(np.float32)
        pooled = UOTPooling(solver)(features).numpy()
        assert np.all(pooled <= features.max(axis=(1, 2)) + 1e-5)
        # Larger features get more.
        assert np.all(pooled > features.mean(axis=(1, 2)))


@pytest.fixture
def maps(rng):
    return tf.constant(rng.normal(size=(4, 7, 7, 6)))


@pytest.mark.parametrize("solver", SOLVERS)
class TestLimits:
    """With four steps, the settings that the docstring names."""

    def test_mean(self, solver, maps):
        mean = gsp_tf.GAPPooling(dtype="float64")(maps)
        near, nearer = (UOTPooling(solver, alpha1=a1, dtype="float64")(maps) for a1 in (1e3, 1e6))
        # The error is that of the softmax of X/α₁: in inverse proportion.
        np.testing.assert_allclose(near, mean, atol=2e-2)
        np.testing.assert_allclose(nearer, mean, atol=2e-5)
        single = UOTPooling(solver, alpha1=1e7)(tf.cast(maps, tf.float32))
        np.testing.assert_allclose(single, mean, atol=1e-5)

    def test_max(self, solver, maps):
        largest = gsp_tf.GMPPooling(dtype="float64")(maps)
        setting = {"alpha1": 1e-4, "rho": 1e-4, "alpha2": 1e-9, "alpha3": 1e4}
        np.testing.assert_allclose(UOTPooling(solver, dtype="float64", **setting)(maps), largest, atol=1e-6)
        single = UOTPooling(solver, **setting)(tf.cast(maps, tf.float32))
        np.testing.assert_allclose(single, tf.cast(largest, tf.float32), atol=1e-6)

    def test_attention(self, solver, maps):
        tokens = tf.reshape(maps, (4, 49, 6))
        for a1 in (0.5, 2.0):
            expected = tf.reduce_sum(tf.nn.softmax(tokens / a1, axis=1) * tokens, axis=1)
            setting = {"alpha1": a1, "rho": 1e-5, "alpha2": 1e-10, "alpha3": 1e6}
            difference = np.abs(UOTPooling(solver, dtype="float64", **setting)(tokens) - expected).max()
            # The quadratic regulariser has another limit there.
            assert difference > 0.1 if solver == "badmm_quadratic" else difference < 1e-8

    def test_between_them(self, solver, maps):
        mean, largest = gsp_tf.GAPPooling(dtype="float64")(maps), gsp_tf.GMPPooling(dtype="float64")(maps)
        pooled = UOTPooling(solver, dtype="float64")(maps).numpy()
        assert np.all(mean + 1e-3 < pooled) and np.all(pooled < largest - 1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shared", [True, False])
class TestGradient:
    def test_equals_finite_differences(self, solver, shared, rng):
        features, part = rng.normal(size=(5, 3)), rng.normal(size=3)
        layer = UOTPooling(solver, 3, shared, dtype="float64", **STARTS)
        layer.build((None, None, 3))
        if not shared:
            scattered(layer)
        inputs = tf.constant(features[np.newaxis])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(part * layer(inputs))
        gradient, *gradients = tape.gradient(loss, [inputs, *layer.trainable_variables])

        def losses(stack):
            return tf.reduce_sum(part * layer(tf.constant(stack)), axis=1)

        assert relative_error(gradient[0], numeric_gradient(losses, features)) < 1e-6
        for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
            start = tf.convert_to_tensor(variable).numpy()

            def with_value(stack, variable=variable, start=start):
                values = []
                for value in stack:
                    variable.assign(value)
                    values.append(float(losses(features[np.newaxis])[0]))
                variable.assign(start)
                return values

            assert np.all(gradient)
            assert relative_error(gradient, numeric_gradient(with_value, start)) < 1e-5

    def test_which_weights_there_are(self, solver, shared):
        layer = UOTPooling(solver, 3, shared, dtype="mixed_float16")
        layer.build((None, None, 3))
        shape = () if shared else (3,)
        assert [tuple(v.shape) for v in layer.trainable_variables] == [shape] * (3 if solver == "sinkhorn" else 4)
        assert {tf.as_dtype(v.dtype) for v in layer.trainable_variables} == {tf.float32}
        still = UOTPooling(solver, 3, shared, trainable=False)
        still.build((None, None, 3))
        assert not still.trainable_variables and len(still.non_trainable_variables) == len(layer.trainable_variables)


def test_the_weights_start_where_they_are_told():
    for value in (2e-6, 1e-3, 1.0, 1e4):
        layer = UOTPooling("badmm_entropic", alpha1=value, alpha2=1e-9, alpha3=value, rho=value, dtype="float64")
        layer.build((None, None, 3))
        np.testing.assert_allclose([float(w) for w in layer.step_weights()[0][:4]], [value, 1e-9, value, value], rtol=1e-9)


def degenerate(kind, rng):
    features = rng.normal(size=(2, 6, 4))
    return {
        "zeros": lambda: 0 * features,
        "constant": lambda: np.full((2, 6, 4), 7.0),
        "huge": lambda: 1e4 * features,
        "huge constant": lambda: np.full((2, 6, 4), 1e4),
        "huge among zeros": lambda: 1e4 * features * (np.arange(6) == 2)[:, np.newaxis],
        "duplicates": lambda: np.repeat(features[:, :2], 3, axis=1),
        "equal channels": lambda: np.repeat(features[:, :, :1], 4, axis=2),
        "one place": lambda: features[:, :1],
        "one channel": lambda: features[:, :, :1],
        "no sample": lambda: features[:0],
    }[kind]()


KINDS = ("zeros", "constant", "huge", "huge constant", "huge among zeros", "duplicates", "equal channels", "one place",
         "one channel", "no sample")


def assert_finite(layer, features):
    """With and without a mask that leaves a sample nothing, value and every gradient."""
    count = features.shape[1]
    mask = (np.arange(count) < np.array([[max(count - 2, 1)], [0]]))[: len(features)]
    inputs = tf.cast(features, layer.compute_dtype)
    for valid in (None, mask):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            pooled = layer(inputs, mask=valid)
            loss = tf.reduce_sum(tf.cast(pooled, tf.float32) * tf.range(1.0, features.shape[2] + 1))
        assert pooled.dtype == inputs.dtype and pooled.shape == (len(features), features.shape[2])
        for tensor in (pooled, *tape.gradient(loss, [inputs, *layer.trainable_variables])):
            assert np.all(np.isfinite(tf.cast(tensor, tf.float32)))
    if len(features):
        assert not np.any(tf.cast(pooled[1], tf.float32))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_degenerate_maps_give_finite_results_and_gradients(kind, solver, rng):
    features = degenerate(kind, rng)
    for setting in ({}, {"alpha1": 1e-5, "alpha2": 1e-9, "alpha3": 1e9, "rho": 1e-5}, {"alpha1": 1e9, "alpha2": 1e9}):
        assert_finite(UOTPooling(solver, **setting), features)
    for dtype in ("mixed_float16", "mixed_bfloat16"):
        assert_finite(UOTPooling(solver, dtype=dtype), features)


@pytest.mark.parametrize("solver", SOLVERS)
def test_features_of_one_value_pool_to_it(solver):
    for value in (0.0, 1.0, -1e4):
        pooled = UOTPooling(solver)(tf.fill((2, 5, 3), value))
        np.testing.assert_allclose(pooled, np.full((2, 3), value), rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_is_computed_in_single(policy, solver, rng):
    half = policy.removeprefix("mixed_")
    features = tf.cast(rng.normal(size=(3, 5, 5, 4)), half)
    pooled = UOTPooling(solver, dtype=policy, **STARTS)(features)
    assert pooled.dtype == tf.as_dtype(half)
    expected = UOTPooling(solver, **STARTS)(tf.cast(features, tf.float32))
    np.testing.assert_allclose(tf.cast(pooled, tf.float32), expected, rtol=HALF[half], atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_compiled_and_of_unknown_size(solver, rng):
    layer = UOTPooling(solver, 2, shared=False, **STARTS)
    images = tf.constant(rng.normal(size=(2, 5, 3, 4)), tf.float32)
    mask = tf.constant(rng.uniform(size=(2, 5, 3)) < 0.7)
    layer(images)

    def step(images, mask):
        with tf.GradientTape() as tape:
            tape.watch(images)
            pooled = layer(images, mask=mask)
        return pooled, *tape.gradient(pooled, [images, *layer.trainable_variables])

    signature = [tf.TensorSpec((None, None, None, 4)), tf.TensorSpec((None, None, None), tf.bool)]
    compiled = tf.function(step, jit_compile=True, input_signature=signature)(images, mask)
    for actual, expected in zip(compiled, step(images, mask), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    assert tuple(layer(keras.Input((None, None, 4))).shape) == (None, 4)


def test_a_keras_mask_arrives_by_itself(rng):
    tokens = rng.normal(size=(2, 9, 4)).astype(np.float32)
    tokens[1, 5:] = 0
    inputs = keras.Input((None, 4))
    layer = UOTPooling()
    pooled = keras.Model(inputs, layer(keras.layers.Masking()(inputs)))(tokens)
    np.testing.assert_allclose(pooled[1], layer(tokens[1:, :5])[0], atol=1e-6)


def test_training_learns_the_weights(rng):
    # Of features whose maximum is the target, the softest weight is driven to a harder choice.
    maps = rng.normal(size=(64, 9, 3)).astype(np.float32)
    layer = UOTPooling("badmm_entropic", shared=False)
    model = keras.Sequential([keras.Input((9, 3)), layer])
    before = [float(step.alpha1) for step in layer.step_weights()]
    model.compile(keras.optimizers.Adam(0.05), "mse")
    losses = model.fit(maps, maps.max(axis=1), epochs=8, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert np.all(np.array([float(step.alpha1) for step in layer.step_weights()]) < before)


LOAD = """
import sys
import numpy as np
from tensorflow import keras
import tensorflow as tf
import gsp_tf.pooling.uot, gsp_tf.pooling.rot
folder = sys.argv[1]
arrays = np.load(folder + "/arrays.npz")
model = keras.models.load_model(folder + "/model.keras")
loaded = tf.saved_model.load(folder + "/saved").signatures["serving_default"](tf.constant(arrays["images"]))
for pooled in (model(arrays["images"]), *loaded.values()):
    print(float(np.abs(pooled.numpy() - arrays["pooled"]).max()))
"""


def test_every_transport_pooling_loads_in_a_fresh_process(rng, tmp_path):
    # All in one model, for one process, with weights that are not where they started.
    images, layers = rng.normal(size=(2, 4, 5, 3)).astype(np.float32), [make(shared=False) for _, make, _ in CASES]
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Concatenate()([layer(inputs) for layer in layers]))
    for layer in layers:
        scattered(layer)
    model.save(tmp_path / "model.keras")
    serve = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((None, None, None, 3))])
    tf.saved_model.save(model, str(tmp_path / "saved"), signatures=serve)
    np.savez(tmp_path / "arrays.npz", images=images, pooled=model(images))
    errors = [float(line) for line in run_python(LOAD, tmp_path).splitlines()[-2:]]
    assert max(errors) < 1e-5


def test_config_round_trip():
    layer = UOTPooling("badmm_quadratic", 3, False, 0.1, 0.2, 0.3, 0.4, "channels_first", name="pool", dtype="float64",
                       trainable=False)
    config = json.loads(json.dumps(layer.get_config()))
    copy = UOTPooling.from_config(config)
    assert copy.get_config() == layer.get_config() and not copy.trainable
    values = [config[name] for name in ("solver", "num_steps", "shared", "alpha1", "alpha2", "alpha3", "rho")]
    assert values == ["badmm_quadratic", 3, False, 0.1, 0.2, 0.3, 0.4]


def test_channels_first(rng):
    images = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    pooled = UOTPooling(data_format="channels_first")(np.moveaxis(images, -1, 1))
    np.testing.assert_allclose(pooled, UOTPooling()(images), atol=1e-6)


class TestErrors:
    def test_choices(self):
        message = "solver must be one of 'sinkhorn', 'badmm_entropic', 'badmm_quadratic'; got 'admm'"
        with pytest.raises(ValueError, match=message):
            UOTPooling("admm")
        with pytest.raises(ValueError, match="shared must be one of True, False; got 'no'"):
            UOTPooling(shared="no")

    @pytest.mark.parametrize("name", ["alpha1", "rho"])
    @pytest.mark.parametrize("value", [0, 1e-6, -1, None, float("inf")])
    def test_divisors(self, name, value):
        with pytest.raises(ValueError, match=rf"{name} must be a number in \(1e-06, inf\); got "):
            UOTPooling(**{name: value})

    @pytest.mark.parametrize("name", ["alpha2", "alpha3"])
    @pytest.mark.parametrize("value", [0, -1, "1", float("nan")])
    def test_weights_of_the_marginals(self, name, value):
        with pytest.raises(ValueError, match=rf"{name} must be a number in \(0, inf\); got "):
            UOTPooling(**{name: value})

    @pytest.mark.parametrize("value", [0, 1.5, None])
    def test_num_steps(self, value):
        with pytest.raises(ValueError, match="num_steps must be a whole number of at least 1; got "):
            UOTPooling(num_steps=value)
