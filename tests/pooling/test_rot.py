import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.pooling.rot import ROTPooling
from gsp_tf.pooling.uot import SOLVERS, UOTPooling
from tests.finite_differences import numeric_gradient, relative_error
from tests.pooling.test_uot import (
    KINDS,
    STARTS,
    assert_finite,
    degenerate,
    scattered,
    steps_of,
)
from tests.reference import unbalanced as reference

HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


@pytest.mark.parametrize("solver", SOLVERS)
class TestValues:
    def test_equals_loops(self, solver, rng):
        features = 3 + 2 * rng.normal(size=(3, 6, 4))
        mask = np.array([[1] * 6, [0, 1, 1, 0, 1, 0], [0] * 6], bool)
        for shared in (True, False):
            layer = ROTPooling(solver, 3, shared, alpha0=0.4, dtype="float64", **STARTS)
            layer.build((None, None, 4))
            if not shared:
                scattered(layer)
            for valid in (None, mask):
                pooled = layer(features, mask=valid)
                for b in range(3):
                    kept = None if valid is None else valid[b]
                    expected = reference.pooled_sample(solver, features[b], steps_of(layer), kept)
                    np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-9)

    def test_a_small_structural_weight_is_none(self, solver, rng):
        features = rng.normal(size=(2, 6, 4))
        expected = UOTPooling(solver, dtype="float64", **STARTS)(features)
        near = ROTPooling(solver, alpha0=1e-10, dtype="float64", **STARTS)(features)
        far = ROTPooling(solver, alpha0=1.0, dtype="float64", **STARTS)(features)
        np.testing.assert_allclose(near, expected, atol=1e-8)
        assert np.abs(far - expected).max() > 1e-2

    def test_the_order_of_places_has_no_effect_and_padding_is_as_if_absent(self, solver, rng):
        features, mask = rng.normal(size=(2, 9, 4)), np.array([1, 0, 1, 1, 0, 1, 1, 1, 0], bool)
        layer = ROTPooling(solver, dtype="float64")
        np.testing.assert_allclose(layer(features[:, rng.permutation(9)]), layer(features), rtol=0, atol=1e-12)
        for padding in (0.0, 1e30, np.nan):
            inputs = np.where(mask[:, np.newaxis], features, padding)
            pooled = layer(inputs, mask=np.stack([mask, mask]))
            np.testing.assert_allclose(pooled, layer(features[:, mask]), rtol=0, atol=1e-12)

    def test_many_steps_are_stationary(self, solver, rng):
        # Of the problem with its quadratic term, of which a step sees the linearisation only.
        features = rng.normal(size=(5, 4))
        step = {"alpha0": 0.3, "alpha1": 1.0, "alpha2": 1.0, "alpha3": 1.0, "rho": 2.0}
        layer = ROTPooling(solver, 100 if solver == "sinkhorn" else 800, dtype="float64", **step)
        layer.build((None, None, 4))
        plan = tf.exp(layer.log_plan(tf.constant(features[np.newaxis]), None))[0].numpy()
        regularizer = "quadratic" if solver == "badmm_quadratic" else "entropic"
        priors = np.full(5, 1 / 5), np.full(4, 1 / 4)
        for weight, stationary in [(step["alpha0"], True), (0.0, False)]:
            arguments = (features, {**step, "alpha0": weight}, regularizer, *priors)
            gradient = reference.objective_gradient(plan, *arguments)[plan > 1e-3]
            assert (np.ptp(gradient) < 1e-3) == stationary
        # The formula of the gradient is that of the objective.
        arguments = (features, step, regularizer, *priors)
        direction = rng.normal(size=(5, 4)) * plan
        direction -= plan * direction.sum()
        ahead, behind = (reference.objective(plan + s * direction, *arguments) for s in (1e-4, -1e-4))
        slope = np.sum(direction * reference.objective_gradient(plan, *arguments))
        assert abs((ahead - behind) / 2e-4 - slope) < 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_gradient_equals_finite_differences(solver, rng):
    features, part = rng.normal(size=(5, 3)), rng.normal(size=3)
    layer = ROTPooling(solver, 3, False, alpha0=0.4, dtype="float64", **STARTS)
    layer.build((None, None, 3))
    inputs = tf.constant(features[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(part * layer(inputs))
    d_inputs, d_alpha0 = tape.gradient(loss, [inputs, layer.raw["alpha0"]])

    def losses(stack):
        return tf.reduce_sum(part * layer(tf.constant(stack)), axis=1)

    start = tf.convert_to_tensor(layer.raw["alpha0"]).numpy()

    def with_value(stack):
        values = []
        for value in stack:
            layer.raw["alpha0"].assign(value)
            values.append(float(losses(features[np.newaxis])[0]))
        return values

    assert relative_error(d_inputs[0], numeric_gradient(losses, features)) < 1e-6
    assert np.all(d_alpha0) and relative_error(d_alpha0, numeric_gradient(with_value, start)) < 1e-5


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_degenerate_maps_give_finite_results_and_gradients(kind, solver, rng):
    features = degenerate(kind, rng)
    for setting in ({}, {"alpha0": 100.0, "alpha1": 1e-2, "rho": 1e-2}):
        assert_finite(ROTPooling(solver, **setting), features)
    assert_finite(ROTPooling(solver, dtype="mixed_float16"), features)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_computed_in_single(policy, rng):
    half = policy.removeprefix("mixed_")
    features = tf.cast(rng.normal(size=(3, 5, 5, 4)), half)
    pooled = ROTPooling("badmm_quadratic", dtype=policy)(features)
    assert pooled.dtype == tf.as_dtype(half)
    expected = ROTPooling("badmm_quadratic")(tf.cast(features, tf.float32))
    np.testing.assert_allclose(tf.cast(pooled, tf.float32), expected, rtol=HALF[half], atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_compiled_and_of_unknown_size(solver, rng):
    layer = ROTPooling(solver, 2, shared=False)
    images = tf.constant(rng.normal(size=(2, 5, 3, 4)), tf.float32)
    compiled = tf.function(layer, jit_compile=True, input_signature=[tf.TensorSpec((None, None, None, 4))])
    np.testing.assert_allclose(compiled(images), layer(images), rtol=1e-5, atol=1e-5)
    assert tuple(layer(keras.Input((None, None, 4))).shape) == (None, 4)


def test_config_round_trip():
    layer = ROTPooling("badmm_entropic", 3, False, 0.7, alpha1=0.1, data_format="channels_first", name="pool")
    config = json.loads(json.dumps(layer.get_config()))
    assert ROTPooling.from_config(config).get_config() == layer.get_config()
    assert (config["solver"], config["alpha0"], config["alpha1"]) == ("badmm_entropic", 0.7, 0.1)
    layer.build((None, 3, None))
    assert sorted(layer.raw) == ["alpha0", "alpha1", "alpha2", "alpha3", "rho"]
    assert len(layer.trainable_variables) == 5


@pytest.mark.parametrize("value", [0, -1, "1", float("inf")])
def test_the_structural_weight_is_checked(value):
    with pytest.raises(ValueError, match=r"alpha0 must be a number in \(0, inf\); got "):
        ROTPooling(alpha0=value)
