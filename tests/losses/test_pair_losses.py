"""What all pair losses must satisfy."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from tests.fresh_process import run_python
from tests.losses.pair_cases import BATCHES, CASES, batch_of, fine_gradient, random_points, value_and_gradient

ALL_LOSSES = pytest.mark.parametrize("name", CASES)
LABELS = np.array([0, 0, 1, 1, 1, 2, 3, 3])


@pytest.fixture
def embeddings(rng):
    return tf.constant(rng.normal(size=(8, 5)) + 0.5, tf.float32)


@pytest.mark.parametrize("batch", BATCHES)
@ALL_LOSSES
def test_value_and_gradient_equal_loops(name, batch):
    make, reference = CASES[name]
    points = random_points(batch)
    loss = make()
    value, gradient = value_and_gradient(lambda _, x: loss(*batch_of(batch, x)), None, points)

    def loops(x):
        return reference(*batch_of(batch, x, lambda table, rows: table[rows]))

    np.testing.assert_allclose(value, loops(points), rtol=0, atol=1e-9)
    np.testing.assert_allclose(gradient, fine_gradient(loops, points), rtol=0, atol=1e-9)


def test_the_batches_reach_the_losses_terms():
    for name, (_, reference) in CASES.items():
        values = [reference(*batch_of(b, random_points(b), lambda table, rows: table[rows])) for b in BATCHES]
        assert np.count_nonzero(values) >= 3, name


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(("multi", "similarity"))])
def test_no_active_pair_gives_zero_and_zero_gradient(name):
    corners = np.eye(3)[[0, 0, 1, 1, 2]]
    value, gradient = value_and_gradient(CASES[name][0](), [0, 0, 1, 1, 2], corners)
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(corners))


@ALL_LOSSES
def test_labels_of_all_forms_mean_the_same(name, embeddings):
    loss = CASES[name][0]()
    expected = float(loss(LABELS, embeddings))
    for dtype in ("int8", "uint8", "int32", "int64", "float32", "float64"):
        for shape in ((8,), (8, 1)):
            assert float(loss(tf.reshape(tf.constant(LABELS.astype(dtype)), shape), embeddings)) == expected
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        loss(LABELS + 0.5, embeddings)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@ALL_LOSSES
def test_half_precision_computes_in_float32(name, dtype, embeddings):
    loss = CASES[name][0]()
    half = tf.cast(embeddings, dtype)
    value, gradient = value_and_gradient(loss, LABELS, half)
    expected, full = value_and_gradient(loss, LABELS, tf.cast(half, tf.float32))
    assert value.dtype == tf.float32 and gradient.dtype == dtype
    assert float(value) == float(expected)
    np.testing.assert_array_equal(tf.cast(gradient, tf.float32), tf.cast(tf.cast(full, dtype), tf.float32))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@ALL_LOSSES
def test_everything_is_finite(name, dtype, embeddings):
    loss = CASES[name][0]()
    same, zero = tf.ones_like(embeddings), tf.zeros_like(embeddings)
    # The gradient is about as large as the embeddings are small: that of smaller ones is beyond float16.
    largest, small = tf.as_dtype(dtype).max / 2, {"float32": 1e-30, "float16": 1e-3}[dtype]
    for batch in (same, zero, tf.concat([zero[:3], embeddings[3:]], 0), largest * same, small * embeddings):
        for labels in (LABELS, 0 * LABELS, np.arange(8) % 5):
            value, gradient = value_and_gradient(loss, labels, tf.cast(batch, dtype))
            assert np.isfinite(value)
            assert np.all(np.isfinite(tf.cast(gradient, tf.float32)))


@pytest.mark.parametrize("jit_compile", [False, True])
@ALL_LOSSES
def test_graphs_equal_eager(name, jit_compile, embeddings):
    loss = CASES[name][0]()
    signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 5], tf.float32)]
    graph = tf.function(
        lambda labels, x: value_and_gradient(loss, labels, x), input_signature=signature, jit_compile=jit_compile
    )
    # Another size is another compilation.
    for size in (8,) if jit_compile else (8, 3):
        labels, batch = LABELS[:size], embeddings[:size]
        for actual, expected in zip(
            graph(labels.astype(np.int32), batch), value_and_gradient(loss, labels, batch), strict=True
        ):
            np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)


@ALL_LOSSES
def test_large_batch_in_float32_is_near_float64(name, rng):
    labels, batch = np.arange(256) // 4, rng.normal(size=(256, 32)) + 0.3
    loss = CASES[name.replace("class_boundaries", "generalized_contrastive")][0]()
    (value, gradient), (expected, exact) = (
        value_and_gradient(loss, labels, batch.astype(dtype)) for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, exact, rtol=0, atol=1e-4 * np.abs(exact).max())


@ALL_LOSSES
def test_config_round_trip(name, embeddings):
    loss = CASES[name][0]()
    config = json.loads(json.dumps(keras.losses.serialize(loss)))
    assert config["registered_name"] == f"gsp_tf>{type(loss).__name__}"
    copy = keras.losses.deserialize(config)
    assert type(copy) is type(loss) and copy.get_config() == loss.get_config()
    if name != "class_boundaries":
        assert float(copy(LABELS, embeddings)) == float(loss(LABELS, embeddings))


def test_a_batch_of_1024_fits_in_a_gigabyte():
    growth = json.loads(run_python(PEAK_MEMORY).splitlines()[-1])
    assert {name.split()[0] for name in growth} == set(CASES)
    assert len(growth) == len(CASES) + 6 and max(growth.values()) < 10**9, growth


# A matrix of distances has 4 MiB, a tensor of all triplets 4 GiB. Graphs free no later than eager code does, but XLA
# has been seen to build triplets of its own accord.
PEAK_MEMORY = """
import json, resource, sys
import tensorflow as tf
from tests.losses.pair_cases import CASES, value_and_gradient

def run(loss, mode, size):
    labels, x = tf.range(size) // 4 % 5, tf.random.stateless_normal((size, 128), (1, 2))
    step = lambda: [result.numpy() for result in function(labels, x)]
    function = lambda labels, x: value_and_gradient(loss, labels, x)
    if mode != "eager":
        function = tf.function(function, jit_compile=mode == "jit")
    step()

def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for mode in ("eager", "graph", "jit"):
    run(CASES["contrastive"][0](), mode, 8)
start, growth = peak(), {}
for name, (make, _) in CASES.items():
    for mode in ("eager", "graph", "jit") if name.startswith("triplet") else ("eager",):
        run(make(), mode, 1024)
        growth[f"{name} {mode}"] = peak() - start
print(json.dumps(growth))
"""


def test_models_train_save_and_load_in_a_fresh_process(tmp_path, rng):
    x = rng.normal(size=(24, 6)).astype(np.float32)
    labels = np.arange(24) % 4
    np.savez(tmp_path / "data.npz", x=x, labels=labels)
    expected = {}
    for name in CASES:
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        loss = CASES[name][0]()
        model.compile(optimizer=keras.optimizers.SGD(0.05), loss=loss)
        before = model.get_weights()[0].copy()
        history = model.fit(x, labels, batch_size=10, epochs=2, verbose=0).history["loss"]
        assert np.all(np.isfinite(history)) and np.any(model.get_weights()[0] != before)
        if name == "class_boundaries":
            loss.margins.values.assign(5 * [0.5])
        model.save(tmp_path / f"{name}.keras")
        expected[name] = float(loss(labels, model(x)))
    found = json.loads(run_python(LOAD, tmp_path, *CASES).splitlines()[-1])
    assert found == pytest.approx(expected, rel=1e-6)


LOAD = """
import json, sys
import numpy as np
import gsp_tf
from tensorflow import keras

folder, *names = sys.argv[1:]
data = np.load(f"{folder}/data.npz")
found = {}
for name in names:
    model = keras.models.load_model(f"{folder}/{name}.keras")
    assert type(model.loss).__module__.startswith("gsp_tf.losses")
    found[name] = float(model.evaluate(data["x"], data["labels"], batch_size=24, verbose=0))
print(json.dumps(found))
"""
