"""What holds for every pooling alternative; the formulas are tested in each one's own file."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from tests.finite_differences import numeric_gradient, one_by_one, relative_error
from tests.fresh_process import run_python
from tests.pooling import cases_a, cases_b, cases_c

CASES = [*cases_a.CASES, *cases_b.CASES, *cases_c.CASES]
HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
every_pooling = pytest.mark.parametrize(
    ("factory", "maps_only"), [(factory, maps_only) for _, factory, maps_only in CASES], ids=[name for name, *_ in CASES]
)


def array(tensor):
    return np.array(tf.cast(tf.convert_to_tensor(tensor), tf.float64))


def trained(factory, rng, dim=4, **kwargs):
    """A built layer with noise on its trainable weights, so that none is at a special value."""
    layer = factory(**kwargs)
    first = layer.data_format == "channels_first"
    layer.build((None, dim, None, None) if first else (None, None, None, dim))
    for variable in layer.trainable_variables:
        value = array(variable)
        variable.assign(tf.cast(value + 0.3 * rng.normal(size=value.shape), variable.dtype))
    return layer


def value_and_gradients(layer, inputs, mask=None):
    """The result and the gradients of its weighted sum in the inputs and the trainable weights."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        pooled = layer(inputs, mask=mask)
        single = tf.cast(pooled, tf.float64)
        loss = tf.reduce_sum(single * tf.range(1, 1 + tf.cast(tf.shape(single)[1], tf.float64), dtype=tf.float64))
    return [pooled, *tape.gradient(loss, [inputs, *layer.trainable_variables])]


@every_pooling
def test_all_layouts_pool_the_same_features(factory, maps_only, rng):
    tokens = rng.normal(size=(2, 12, 4))
    layer = trained(factory, rng, dtype="float64")
    expected = layer(tokens.reshape(2, 3, 4, 4))
    first = factory(data_format="channels_first", dtype="float64")
    first.build((None, 4, 3, 4))
    first.set_weights(layer.get_weights())
    np.testing.assert_allclose(first(np.moveaxis(tokens.reshape(2, 3, 4, 4), -1, 1)), expected, rtol=0, atol=1e-12)
    for spatial in [] if maps_only else [(12,), (2, 3, 2), (12, 1)]:
        other = layer(tokens.reshape(2, *spatial, 4))
        np.testing.assert_allclose(other, expected, rtol=0, atol=1e-12)
        other = first(np.moveaxis(tokens.reshape(2, *spatial, 4), -1, 1))
        np.testing.assert_allclose(other, expected, rtol=0, atol=1e-12)


@every_pooling
def test_only_convolutions_over_places_see_their_order(factory, maps_only, rng):
    tokens, order = rng.normal(size=(2, 12, 4)), rng.permutation(12)
    layer = trained(factory, rng, dtype="float64")
    change = np.abs(layer(tokens[:, order].reshape(2, 3, 4, 4)) - layer(tokens.reshape(2, 3, 4, 4))).max()
    assert change > 1e-3 if maps_only else change < 1e-12


@every_pooling
def test_one_model_pools_images_of_all_sizes(factory, maps_only, rng):
    layer = trained(factory, rng)
    images = keras.Input((None, None, 4))
    pooled = layer(images)
    assert tuple(pooled.shape) == (None, layer(tf.zeros((2, 3, 5, 4))).shape[1])
    model = keras.Model(images, pooled)
    for size in [(1, 1), (3, 5), (2, 1)]:
        x = rng.normal(size=(2, *size, 4)).astype(np.float32)
        np.testing.assert_allclose(model(x), layer(x), rtol=1e-5, atol=1e-5)


class TestMask:
    @every_pooling
    def test_a_masked_border_is_as_good_as_none(self, factory, maps_only, rng):
        # Padding on the right and below also moves no place away from its neighbours.
        images, mask = rng.normal(size=(2, 3, 4, 4)), np.zeros((2, 5, 6), bool)
        mask[:, :3, :4] = True
        padded = np.full((2, 5, 6, 4), np.nan)
        padded[mask] = images.reshape(-1, 4)
        layer = trained(factory, rng, dtype="float64")
        np.testing.assert_allclose(layer(padded, mask=mask), layer(images), rtol=0, atol=1e-12)

    @every_pooling
    @pytest.mark.parametrize("padding", [np.nan, np.inf, 1e30])
    def test_padding_may_hold_anything(self, factory, maps_only, padding, rng):
        images = rng.normal(size=(3, 2, 3, 4))
        mask = np.array([[1] * 6, [0, 1, 1, 0, 1, 0], [0] * 6], bool).reshape(3, 2, 3)
        layer = trained(factory, rng, dtype="float64")
        clean = value_and_gradients(layer, tf.constant(images), mask)
        results = value_and_gradients(layer, tf.constant(np.where(mask[..., np.newaxis], images, padding)), mask)
        for result, expected in zip(results, clean, strict=True):
            assert np.all(np.isfinite(expected))
            np.testing.assert_array_equal(result, expected)
        assert not array(results[0])[2].any() and not array(results[1])[~mask].any()

    @every_pooling
    def test_a_keras_mask_arrives_by_itself(self, factory, maps_only, rng):
        if maps_only:
            return
        tokens = rng.normal(size=(3, 9, 4)).astype(np.float32)
        tokens[1, 5:], tokens[2] = 0, 0
        layer, inputs = trained(factory, rng), keras.Input((None, 4))
        pooled = keras.Model(inputs, layer(keras.layers.Masking()(inputs)))(tokens)
        np.testing.assert_allclose(pooled[0], layer(tokens[:1])[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(pooled[1], layer(tokens[1:2, :5])[0], rtol=1e-5, atol=1e-5)
        assert not array(pooled[2]).any()
        assert layer.compute_mask(tokens, np.ones((3, 9), bool)) is None


@every_pooling
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_equal_finite_differences(factory, maps_only, masked, rng):
    images = rng.normal(size=(1, 2, 3, 4))
    mask = np.array([[1, 0, 1, 1, 1, 1]], bool).reshape(1, 2, 3) if masked else None
    layer = trained(factory, rng, dtype="float64")

    @tf.function
    def losses(stack):
        valid = None if mask is None else tf.repeat(mask, tf.shape(stack)[0], axis=0)
        pooled = layer(stack, mask=valid)
        return tf.linalg.matvec(pooled, tf.range(1.0, 1 + pooled.shape[1], dtype=tf.float64))

    def of_weight(variable):
        start = array(variable)

        def loss(value):
            variable.assign(value)
            return losses(tf.constant(images))[0]

        gradient = numeric_gradient(one_by_one(loss), start)
        variable.assign(start)
        return gradient

    _, d_images, *d_weights = value_and_gradients(layer, tf.constant(images), mask)
    assert relative_error(d_images[0], numeric_gradient(losses, images[0])) < 1e-6
    largest = max([1e-3, *(np.abs(gradient).max() for gradient in d_weights)])
    for variable, gradient in zip(layer.trainable_variables, d_weights, strict=True):
        np.testing.assert_allclose(gradient, of_weight(variable), rtol=0, atol=1e-6 * largest)


def degenerate(rng, huge):
    """Samples (6, 4) at which something divides by zero or overflows unless it is guarded."""
    features = rng.normal(size=(6, 4))
    return {
        "zeros": 0 * features,
        "constant": np.ones((6, 4)),
        "constant and huge": np.full((6, 4), huge),
        "equal places": np.repeat(features[:1], 6, axis=0),
        "pairs of equal places": np.repeat(features[:3], 2, axis=0),
        "huge": huge * features,
        "one huge place": huge * features * (np.arange(6) == 2)[:, np.newaxis],
        "tiny": 1e-6 * features,
        "negative": -np.abs(features),
        "one channel": features * (np.arange(4) == 1),
    }


@every_pooling
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_degenerate_maps_give_finite_values_and_gradients(factory, maps_only, policy, rng):
    layer = trained(factory, rng, dtype=policy)
    # A sum of ten thousands leaves float16.
    kinds = degenerate(rng, huge=1e3 if policy == "mixed_float16" else 1e4)
    maps = tf.cast(np.stack([*kinds.values(), np.ones((6, 4))]).reshape(-1, 2, 3, 4), layer.compute_dtype)
    all_but_the_last = np.broadcast_to(np.arange(len(maps)) < len(kinds), (2, 3, len(maps))).T.reshape(-1, 2, 3)
    for mask in (None, all_but_the_last):
        pooled, d_maps, *d_weights = value_and_gradients(layer, maps, mask)
        assert pooled.dtype == maps.dtype
        for name, value, gradient in zip(kinds, array(pooled), array(d_maps), strict=False):
            assert np.all(np.isfinite(value)) and np.all(np.isfinite(gradient)), (name, mask is None)
        assert all(np.all(np.isfinite(array(gradient))) for gradient in d_weights), mask is None
    assert not array(pooled)[-1].any() and not array(d_maps)[-1].any()
    for unusual in (tf.zeros((0, 2, 3, 4), layer.compute_dtype), tf.zeros((2, 1, 1, 4), layer.compute_dtype)):
        results = value_and_gradients(layer, unusual)
        assert results[0].shape == (len(unusual), pooled.shape[1])
        assert all(np.all(np.isfinite(array(result))) for result in results)


class TestHalfPrecision:
    @every_pooling
    @pytest.mark.parametrize("half", ["float16", "bfloat16"])
    def test_agrees_with_float32_to_its_own_rounding(self, factory, maps_only, half, rng):
        layer = trained(factory, rng, dtype=f"mixed_{half}")
        assert all(tf.as_dtype(variable.dtype) == tf.float32 for variable in layer.weights)
        single = factory(dtype="float32")
        single.build((None, None, None, 4))
        single.set_weights(layer.get_weights())
        images = tf.cast(rng.normal(size=(3, 3, 4, 4)), half)
        pooled, expected = layer(images), single(tf.cast(images, tf.float32))
        assert pooled.dtype == tf.as_dtype(half) and expected.dtype == tf.float32
        np.testing.assert_allclose(array(pooled), array(expected), rtol=HALF[half], atol=1e-6)

    @every_pooling
    def test_weights_follow_float64(self, factory, maps_only, rng):
        layer = trained(factory, rng, dtype="float64")
        assert all(tf.as_dtype(variable.dtype) == tf.float64 for variable in layer.weights)
        assert layer(rng.normal(size=(2, 3, 4, 4))).dtype == tf.float64


@every_pooling
def test_compiled_with_unknown_sizes_equals_eager(factory, maps_only, rng):
    layer = trained(factory, rng)
    images, mask = tf.constant(rng.normal(size=(3, 3, 2, 4)), tf.float32), tf.constant(rng.uniform(size=(3, 3, 2)) < 0.7)
    compiled = tf.function(
        lambda images, mask: value_and_gradients(layer, images, mask), jit_compile=True,
        input_signature=[tf.TensorSpec((None, None, None, 4)), tf.TensorSpec((None, None, None), tf.bool)],
    )
    for actual, expected in zip(compiled(images, mask), value_and_gradients(layer, images, mask), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@every_pooling
def test_config_round_trip(factory, maps_only, rng):
    layer = trained(factory, rng, data_format="channels_first", name="pool", dtype="float64")
    copy = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert copy.get_config() == layer.get_config()
    inputs = rng.normal(size=(2, 4, 3, 5))
    copy.build(inputs.shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(inputs), layer(inputs))


@every_pooling
def test_errors(factory, maps_only):
    with pytest.raises(ValueError, match="data_format must be one of 'channels_last', 'channels_first'; got 'NHWC'"):
        factory(data_format="NHWC")
    for shape in [(2, 4), (2, 1, 1, 1, 3, 4), *([(2, 6, 4), (2, 2, 3, 2, 4)] if maps_only else [])]:
        with pytest.raises(ValueError, match=r"inputs must have shape \(B, (n|H, W), d\), .* of rank "):
            factory()(tf.zeros(shape))
    with pytest.raises(ValueError, match="inputs must have at least one local feature"):
        factory()(tf.zeros((2, 0, 3, 4)))
    with pytest.raises(TypeError, match="inputs must hold floating-point numbers; got dtype int64"):
        factory()(tf.zeros((2, 3, 3, 4), tf.int64))
    layer = factory()
    if maps_only:
        with pytest.raises(ValueError, match=r"inputs must have shape \(B, H, W, d\), .* of rank 3"):
            layer(keras.Input((None, 4)))


LOADING = """
import sys
import numpy as np
from tensorflow import keras
import gsp_tf

folder = sys.argv[1]
arrays = np.load(folder + "/arrays.npz")
model = keras.models.load_model(folder + "/poolings.keras", compile=False)
print(max(float(np.abs(output - arrays[f"arr_{i + 1}"]).max()) for i, output in enumerate(model(arrays["arr_0"]))))
"""


def test_saved_models_load_in_a_fresh_process(tmp_path, rng):
    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, [trained(factory, rng)(inputs) for _, factory, _ in CASES])
    images = rng.normal(size=(2, 3, 2, 4)).astype(np.float32)
    outputs = [array(output) for output in model(images)]
    assert len(outputs) == len(CASES) and all(np.ptp(output) > 1e-3 for output in outputs)
    model.save(tmp_path / "poolings.keras")
    np.savez(tmp_path / "arrays.npz", images, *outputs)
    assert float(run_python(LOADING, tmp_path).splitlines()[-1]) < 1e-5
