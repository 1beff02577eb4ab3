"""Models with the package's layers, saved here and loaded by a process that has not built them."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import gsp_tf
from tests import embedders
from tests.fresh_process import run_python

KERAS_FILES = """
import json, sys
import numpy as np
import tensorflow as tf
from tensorflow import keras
import gsp_tf
import tests.embedders

folder = sys.argv[1]
arrays = np.load(folder + "/arrays.npz")
report = {}
for name in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{name}.keras", compile=False)
    inputs = [arrays["images"], arrays["labels"]] if name == "regularized" else arrays["images"]
    outputs = model(inputs, training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    expected = [arrays[f"{name}_{i}"] for i in range(len(outputs))]
    report[name] = {"error": max(float(np.abs(o.numpy() - e).max()) for o, e in zip(outputs, expected, strict=True))}
    report[name]["sizes"] = [list(o.shape) for o in outputs]
    (layer,) = [layer for layer in model._flatten_layers() if isinstance(layer, gsp_tf.GSPLayer)]
    report[name]["mu"] = float(tf.convert_to_tensor(layer.mu))
    if name == "regularized":
        other_size = [np.ones((2, 5, 9, 3), "float32"), np.array([0, 1])]
        model(other_size, training=True)
        report[name]["losses"] = [float(loss) for loss in model.losses]
print(json.dumps(report))
"""

SAVED_MODELS = """
import json, sys
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
arrays = np.load(folder + "/arrays.npz")
report = {}
for name in sys.argv[2:]:
    loaded = tf.saved_model.load(f"{folder}/{name}")
    images = tf.constant(arrays["images"])
    with tf.GradientTape() as tape:
        tape.watch(images)
        (output,) = loaded.signatures["serving_default"](images).values()
        loss = tf.reduce_sum(tf.square(output) * tf.range(1.0, 1.0 + output.shape[-1]))
    gradient = tape.gradient(loss, images).numpy()
    report[name] = {
        "error": float(np.abs(output.numpy() - arrays["embeddings"]).max()),
        "gradient error": float(np.abs(gradient - arrays["gradient"]).max()),
        "gradient": float(np.abs(arrays["gradient"]).max()),
    }
report["gsp_tf imported"] = "gsp_tf" in sys.modules
print(json.dumps(report))
"""


def regularized():
    """Images of any size and labels to an embedding, a histogram and weights, by every layer of the package."""
    images, labels = keras.Input((None, None, 3)), keras.Input((), dtype="int32")
    features = keras.layers.Conv2D(5, 1)(images)
    pooled, histogram, weights = gsp_tf.GSPLayer(6, mu=0.4, name="pool")(
        features, return_histogram=True, return_weights=True
    )
    histogram = gsp_tf.ZeroShotRegularizer(4, weight=0.3, name="zsr")([histogram, labels])
    others = [pooling()(features) for pooling in (gsp_tf.GAPPooling, gsp_tf.GMPPooling, gsp_tf.GAPGMPPooling)]
    embedding = gsp_tf.L2Normalize()(keras.layers.Concatenate()([pooled, *others]))
    return keras.Model([images, labels], [embedding, histogram, weights])


@pytest.fixture
def images(rng):
    return rng.normal(size=(4, 8, 8, 3)).astype(np.float32)


def test_keras_files_load_in_a_fresh_process(images, tmp_path):
    labels = np.array([0, 0, 1, 3], np.int32)
    arrays = {"images": images, "labels": labels}
    models = {name: embedders.KINDS[name]() for name in ("functional", "sequential", "nested", "subclassed")}
    models["regularized"] = regularized()
    for name, model in models.items():
        outputs = model([images, labels] if name == "regularized" else images, training=False)
        # As after a warm-up that was interrupted: the schedule's ratio is saved, the layer's own is in its configuration.
        embedders.gsp_layer(model).mu.assign(0.7)
        outputs = model([images, labels] if name == "regularized" else images, training=False)
        for i, output in enumerate(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
            arrays[f"{name}_{i}"] = output.numpy()
        model.save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "arrays.npz", **arrays)
    report = json.loads(run_python(KERAS_FILES, tmp_path, *models).splitlines()[-1])
    for name in models:
        assert report[name]["error"] < 1e-6, name
        np.testing.assert_allclose(report[name]["mu"], 0.7, rtol=1e-7)
    assert report["regularized"]["sizes"] == [[4, 20], [4, 6], [4, 8, 8]]
    (loss,) = report["regularized"]["losses"]
    assert np.isfinite(loss) and loss > 0


def test_saved_models_load_without_the_package(images, tmp_path):
    model = embedders.functional(size=None)
    inputs = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        embeddings = model(inputs, training=False)
        loss = tf.reduce_sum(tf.square(embeddings) * tf.range(1.0, 6.0))
    np.savez(
        tmp_path / "arrays.npz", images=images, embeddings=embeddings, gradient=tape.gradient(loss, inputs),
    )
    names = ["saved"]
    serve = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((None, None, None, 3))])
    tf.saved_model.save(model, str(tmp_path / "saved"), signatures=serve)
    if hasattr(model, "export"):
        model.export(str(tmp_path / "exported"))
        names.append("exported")
    report = json.loads(run_python(SAVED_MODELS, tmp_path, *names).splitlines()[-1])
    assert not report["gsp_tf imported"]
    for name in names:
        assert report[name]["error"] < 1e-6
        assert report[name]["gradient error"] < 1e-5 < report[name]["gradient"]
