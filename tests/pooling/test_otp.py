import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linprog

from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.otp import OTPPooling, transport_plan
from tests.pooling.random_weights import array, finite_everywhere, randomized
from tests.reference.otp import otp_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)


def plan_of(layer, features, valid=None):
    """The plan (B, m, n) that the layer pools with, noted on its way."""
    plans = []

    def recorded(cost, epsilon, steps, valid):
        plans.append(transport_plan(cost, epsilon, steps, valid))
        return plans[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gsp_tf.pooling.otp.transport_plan", recorded)
        layer(features, mask=valid)
    return plans[0].numpy()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("width", "epsilon", "steps"), [(None, 0.2, 50), (3, 1.0, 4)])
def test_equals_loops(width, epsilon, steps, masked, rng):
    features, mask = rng.normal(size=(3, 8, 4)), MASK if masked else None
    layer = randomized(OTPPooling(5, width, epsilon, steps, dtype="float64"), (None, 8, 4), rng)
    pooled = layer(features, mask=mask)
    assert pooled.shape == (3, 5 * (width or 4))
    projection = None if width is None else array(layer.projection)
    for b in range(3):
        valid = None if mask is None else mask[b]
        expected = otp_sample(features[b], array(layer.prototypes), epsilon, steps, projection, valid)
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-9)


def ordinary(kind, rng):
    """(features, prototypes) as they come before, during and after training."""
    dim = 2 if kind == "plane" else 128
    features = rng.normal(size=(4, 49, dim))
    prototypes = rng.normal(size=(64, dim))
    return {
        "initial": lambda: (features, prototypes / 10),
        "rectified": lambda: (np.maximum(features, 0), prototypes),
        "short": lambda: (0.05 * features, prototypes / 10),
        "plane": lambda: (features, prototypes[:8]),
        "groups": lambda: (features[:, np.arange(49) % 4] + 0.05 * features, np.concatenate([features[0], prototypes])[:64]),
    }[kind]()


@pytest.mark.parametrize("kind", ["initial", "rectified", "short", "plane", "groups"])
def test_both_marginals_hold(kind, rng):
    features, prototypes = ordinary(kind, rng)
    layer = OTPPooling(len(prototypes), dtype="float64")
    layer.build((None, None, features.shape[2]))
    layer.prototypes.assign(prototypes)
    for valid in (None, rng.uniform(size=features.shape[:2]) < 0.7):
        plan = plan_of(layer, features, valid)
        count = np.full((4, 1), 49) if valid is None else valid.sum(axis=1, keepdims=True)
        expected = 1 / count if valid is None else valid / count
        assert plan.min() >= 0
        np.testing.assert_allclose(plan.sum(axis=1), np.broadcast_to(expected, (4, 49)), rtol=0, atol=1e-12)
        np.testing.assert_allclose(plan.sum(axis=2), 1 / len(prototypes), rtol=0, atol=1e-6)


def test_the_plan_comes_near_the_cheapest(rng):
    cost = rng.uniform(size=(3, 6))
    plan = transport_plan(tf.constant(cost[np.newaxis]), epsilon=0.02, steps=1000)[0].numpy()
    rows = [np.repeat(np.arange(3) == i, 6) for i in range(3)]
    columns = [np.tile(np.arange(6) == j, 3) for j in range(6)]
    best = linprog(cost.ravel(), A_eq=np.array(rows + columns, float), b_eq=[1 / 3] * 3 + [1 / 6] * 6)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 3, atol=1e-9)
    # An entropy of at most log 18 is what the plan may trade for its cost.
    assert best.fun - 1e-9 <= np.sum(cost * plan) <= best.fun + 0.02 * np.log(18) < np.mean(cost)


class TestLimits:
    def test_nothing_is_left_out(self, rng):
        features = rng.normal(size=(2, 7, 7, 4))
        blocks = tf.reshape(OTPPooling(5, steps=1, dtype="float64")(features), (2, 5, 4))
        total = tf.reduce_sum(blocks, axis=1) / np.sqrt(5)
        np.testing.assert_allclose(total, GAPPooling(dtype="float64")(features), rtol=0, atol=1e-13)

    def test_one_reference_is_average_pooling(self, rng):
        features = rng.normal(size=(2, 7, 7, 4))
        pooled = OTPPooling(1, dtype="float64")(features)
        np.testing.assert_allclose(pooled, GAPPooling(dtype="float64")(features), rtol=0, atol=1e-13)

    def test_equal_features_are_spread_evenly(self, rng):
        feature = rng.normal(size=4)
        pooled = OTPPooling(5, dtype="float64")(np.tile(feature, (1, 6, 1)))
        np.testing.assert_allclose(pooled[0], np.tile(feature, 5) / np.sqrt(5), rtol=0, atol=1e-12)

    def test_features_go_to_the_nearest_reference(self, rng):
        centers = np.eye(4)[:3]
        features = np.repeat(centers, 5, axis=0) + 0.01 * rng.normal(size=(15, 4))
        layer = OTPPooling(3, epsilon=0.05, dtype="float64")
        layer.build((None, None, 4))
        layer.prototypes.assign(centers)
        order = rng.permutation(15)
        blocks = tf.reshape(layer(features[np.newaxis, order]), (3, 4))
        expected = np.sqrt(3) / 3 * features.reshape(3, 5, 4).mean(axis=1)
        np.testing.assert_allclose(blocks, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("epsilon", [0.001, 0.2])
def test_prototypes_on_features_give_finite_gradients(epsilon, rng):
    features = rng.normal(size=(2, 6, 4))
    for inputs in (features, 1e4 * features, np.zeros((2, 6, 4)), np.repeat(features[:, :1], 6, axis=1)):
        layer = OTPPooling(5, epsilon=epsilon)
        layer.build((None, 6, 4))
        layer.prototypes.assign(inputs[0, :5].astype(np.float32))
        assert finite_everywhere(layer, inputs)
        assert finite_everywhere(layer, inputs, np.arange(6) < np.array([[4], [0]]))


def test_compiled_gradient_equals_eager(rng):
    layer = OTPPooling(5, width=2, steps=20)
    layer.build((None, None, None, 4))

    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            pooled = layer(images)
            loss = tf.reduce_sum(tf.square(pooled))
        return (pooled, *tape.gradient(loss, [images, *layer.trainable_variables]))

    compiled = tf.function(step, jit_compile=True, input_signature=[tf.TensorSpec((None, None, None, 4))])
    for size in (5, 3):
        images = tf.constant(rng.normal(size=(2, size, 4, 4)), tf.float32)
        for actual, expected in zip(compiled(images), step(images), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_prototypes": 0}, "num_prototypes must be a whole number of at least 1; got 0"),
        ({"width": 2.5}, "width must be a whole number of at least 1; got 2.5"),
        ({"epsilon": 0}, r"epsilon must be a number in \(0, inf\); got 0"),
        ({"steps": 0}, "steps must be a whole number of at least 1; got 0"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        OTPPooling(**{"num_prototypes": 4, **kwargs})
