import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.losses.contrastive import ContrastiveLoss
from gsp_tf.losses.cross_batch_memory import CrossBatchMemory
from tests.finite_differences import numeric_gradient, one_by_one, relative_error
from tests.losses.distributed_memory import finish, start, train
from tests.reference.contrastive import contrastive
from tests.reference.cross_batch_memory import ListMemory

DIM = 3
MARGINS = {"pos_margin": 0.2, "neg_margin": 1.3}
# Whole batches, last ones, one that is larger than the memory of 8, and one that fills it exactly.
SIZES = [4, 4, 3, 4, 1, 2, 4, 11, 4, 8, 3, 4]


def batches(sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.integers(0, 4, size), rng.normal(size=(size, DIM))) for size in sizes]


def memory(start_after=0, size_in_batches=2, dtype="float64", **kwargs):
    return CrossBatchMemory(
        ContrastiveLoss(**MARGINS), size_in_batches, start_after, batch_size=4, embedding_dim=DIM, dtype=dtype, **kwargs
    )


def reference(start_after=0, capacity=8):
    return ListMemory(functools.partial(contrastive, **MARGINS), capacity, start_after)


def assert_holds(layer, listed):
    """The valid entries, oldest first, are the list's, and the counters follow."""
    count, pointer = int(layer.count), int(layer.pointer)
    assert (count, int(layer.steps)) == (len(listed.samples), listed.steps)
    order = np.arange(pointer - count, pointer) % layer.capacity
    assert np.array(layer.labels)[order].tolist() == [label for label, _ in listed.samples]
    np.testing.assert_allclose(np.array(layer.embeddings)[order], [u for _, u in listed.samples], rtol=1e-15)


@pytest.mark.parametrize("start_after", [0, 5])
@pytest.mark.parametrize("compiled", [False, True])
def test_equals_a_list(start_after, compiled):
    layer, listed = memory(start_after), reference(start_after)
    step = tf.function(layer) if compiled else layer
    for labels, embeddings in batches():
        value = step(tf.constant(labels), tf.constant(embeddings))
        np.testing.assert_allclose(value, listed.step(labels, embeddings), rtol=1e-9)
        assert_holds(layer, listed)


def test_gradient_is_of_the_batch_alone():
    """The memory's embeddings get none: with the memory held fixed, finite differences agree."""
    layer, listed = memory(), reference()
    *before, (labels, embeddings) = batches([4, 4, 5])
    for batch in before:
        layer(*batch)
        listed.step(*batch)

    def fixed(x):
        copy = reference()
        copy.samples = list(listed.samples)
        return copy.step(labels, x)

    x = tf.constant(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = layer(labels, x)
    expected = numeric_gradient(one_by_one(fixed), embeddings, step=2e-6)
    assert relative_error(tape.gradient(value, x), expected) < 1e-6
    assert layer.trainable_weights == []


def test_one_trace_for_every_batch_size():
    layer, traces = memory(), []

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, DIM), tf.float64)])
    def step(labels, embeddings):
        traces.append(1)
        return layer(labels, embeddings)

    listed = reference()
    for labels, embeddings in batches():
        value = step(labels.astype(np.int32), embeddings)
        np.testing.assert_allclose(value, listed.step(labels, embeddings), rtol=1e-9)
    assert len(traces) == 1


def test_jit_compile():
    layer, listed = memory(), reference()
    step = tf.function(layer, jit_compile=True)
    for labels, embeddings in batches([4, 4, 3, 4]):
        value = step(tf.constant(labels), tf.constant(embeddings))
        np.testing.assert_allclose(value, listed.step(labels, embeddings), rtol=1e-9)
        assert_holds(layer, listed)


def test_a_sample_does_not_meet_itself():
    """Positives at distance 0 would hide in the mean of the others, so count who is compared with whom."""
    seen = []

    class Recorder(ContrastiveLoss):
        def __call__(self, labels, embeddings, ref_labels=None, ref_embeddings=None):
            if ref_labels is not None:
                seen.append((labels.numpy().tolist(), ref_labels.numpy().tolist()))
            return super().__call__(labels, embeddings, ref_labels, ref_embeddings)

    layer = CrossBatchMemory(Recorder(), size_in_batches=1, start_after=0, batch_size=2, embedding_dim=DIM)
    for first in range(0, 8, 2):
        layer(np.array([first, first + 1]), np.ones((2, DIM), np.float32))
    assert seen == [([2, 3], [0, 1]), ([4, 5], [2, 3]), ([6, 7], [4, 5])]


def test_the_memory_waits_until_it_is_full_and_the_steps_have_passed():
    # Two batches of four fill it; the third call is the first that can use it.
    for start_after, first_used in [(0, 2), (2, 2), (4, 4)]:
        layer, plain = memory(start_after), ContrastiveLoss(**MARGINS)
        used = [float(layer(*batch)) != float(plain(*batch)) for batch in batches([4] * 6)]
        assert used == [index >= first_used for index in range(6)]


def test_evaluation_neither_uses_nor_changes_it():
    layer = memory()
    for batch in batches([4, 4, 4]):
        layer(*batch)
    weights = layer.get_weights()
    labels, embeddings = batches([5], seed=1)[0]
    value = layer(labels, embeddings, training=False)
    np.testing.assert_allclose(value, contrastive(labels, embeddings, **MARGINS), rtol=1e-9)
    for found, expected in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_nothing_is_left_after_a_reset():
    layer, listed = memory(3), reference(3)
    fresh = layer.get_weights()
    for batch in batches():
        layer(*batch)
    layer.reset()
    for found, expected in zip(layer.get_weights(), fresh, strict=True):
        np.testing.assert_array_equal(found, expected)
    for labels, embeddings in batches(seed=1):
        np.testing.assert_allclose(layer(labels, embeddings), listed.step(labels, embeddings), rtol=1e-9)
        assert_holds(layer, listed)


def test_goes_on_from_its_weights():
    layer, listed = memory(5), reference(5)
    for index, (labels, embeddings) in enumerate(batches()):
        if index == 7:
            restored = CrossBatchMemory.from_config(layer.get_config())
            restored.set_weights(layer.get_weights())
            layer = restored
        np.testing.assert_allclose(layer(labels, embeddings), listed.step(labels, embeddings), rtol=1e-9)
        assert_holds(layer, listed)


def test_config():
    layer = memory(7, name="mine")
    copy = CrossBatchMemory.from_config(json.loads(json.dumps(layer.get_config())))
    assert copy.get_config() == layer.get_config()
    assert (copy.capacity, copy.start_after, copy.loss.neg_margin) == (8, 7, 1.3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_stored_and_computed_in_float32(policy):
    layer, same = memory(dtype=policy), memory(dtype="float32")
    for labels, embeddings in batches([4, 4, 4]):
        half = tf.cast(embeddings, policy.removeprefix("mixed_"))
        value = layer(labels, half)
        assert value.dtype == tf.float32 and value == same(labels, tf.cast(half, tf.float32))
    np.testing.assert_array_equal(np.array(layer.embeddings), np.array(same.embeddings))


@pytest.fixture(scope="module")
def one_replica(tmp_path_factory):
    out = tmp_path_factory.mktemp("one_replica") / "out.npz"
    train("one_device", 1, out)
    return dict(np.load(out))


def assert_same_steps(found, expected):
    assert found.keys() == expected.keys()
    for key in expected:
        if key.startswith(("pointer", "labels", "count", "steps")):
            np.testing.assert_array_equal(found[key], expected[key], err_msg=key)
        else:
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_two_replicas_hold_what_one_does(one_replica, tmp_path):
    finish(start("mirrored", 2, tmp_path / "out.npz"))
    assert_same_steps(dict(np.load(tmp_path / "out.npz")), one_replica)


def test_two_processes_hold_what_one_does(one_replica, tmp_path):
    finish(start("multi_worker", 2, tmp_path / "0.npz", tmp_path / "1.npz"))
    for index in range(2):
        assert_same_steps(dict(np.load(tmp_path / f"{index}.npz")), one_replica)


def test_errors():
    sizes = {"batch_size": 4, "embedding_dim": DIM}
    with pytest.raises(TypeError, match="loss must be a loss that is called as .*; got 'ContrastiveLoss'"):
        CrossBatchMemory("ContrastiveLoss", 2, **sizes)
    with pytest.raises(ValueError, match="size_in_batches must be a whole number of at least 1; got 0"):
        CrossBatchMemory(ContrastiveLoss(), 0, **sizes)
    with pytest.raises(ValueError, match="start_after must be a whole number of at least 0; got -1"):
        CrossBatchMemory(ContrastiveLoss(), 2, -1, **sizes)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1; got 0.5"):
        CrossBatchMemory(ContrastiveLoss(), 2, batch_size=0.5, embedding_dim=DIM)
    with pytest.raises(ValueError, match=r"embeddings must have shape \(B, 3\); got shape \(2, 5\): set"):
        memory()([0, 1], np.ones((2, 5)))
