import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.errors import UserError
from gsp_tf.export import export_saved_model
from gsp_tf.training.embedding import embed
from gsp_tf.training.run import load_embedder
from tests.fresh_process import run_python

SERVE = """
import json, sys
import numpy as np
import tensorflow as tf

assert "gsp_tf" not in sys.modules
folder, batch = sys.argv[1:]
served = tf.saved_model.load(folder)
given = np.load(batch)
images = tf.constant(given["images"])
calls = {name: served.signatures[name] for name in served.signatures}
outputs = {"signatures": np.array(sorted(calls))}
for count in (0, 1, 5):
    outputs[f"embedding_{count}"] = calls["serving_default"](images=images[:count])["embedding"]
    encoded = tf.constant(given["png"].tolist()[:count], tf.string)
    outputs[f"encoded_{count}"] = calls["encoded"](images=encoded)["embedding"]
    for name, value in calls["explain"](images=images[:count]).items():
        outputs[f"explain_{name}_{count}"] = value
outputs["mixed"] = calls["encoded"](images=tf.constant([*given["jpeg"].tolist(), given["large"].item()]))["embedding"]
prototypes, = [variable for variable in served.model_variables if "prototypes" in variable.name]
with tf.GradientTape() as tape:
    tape.watch(images)
    explained = served.explain(images)
    loss = sum(tf.reduce_sum(given[f"weigh_{name}"] * value) for name, value in explained.items())
outputs["d_images"], outputs["d_prototypes"] = tape.gradient(loss, [images, prototypes])
assert "gsp_tf" not in sys.modules
np.savez(batch + ".out.npz", **{name: np.asarray(value) for name, value in outputs.items()})
"""


@pytest.fixture(scope="module")
def embedder(trained_job):
    return load_embedder(trained_job / "GSP+ZSR" / "seed_0")


@pytest.fixture(scope="module")
def given(embedder):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(5, 32, 32, 1), dtype=np.uint8)
    smooth = tf.cast(tf.image.resize(pixels[:2, ::8, ::8], (32, 32)), tf.uint8)
    large = np.repeat(np.kron(pixels[0], np.ones((2, 2, 1), np.uint8)), 3, axis=2)
    outputs = embed(embedder, pixels / np.float32(255))
    return {
        "images": pixels / np.float32(255),
        "png": np.array([tf.io.encode_png(image).numpy() for image in pixels], dtype=object),
        "jpeg": np.array([tf.io.encode_jpeg(image, quality=100).numpy() for image in smooth], dtype=object),
        "smooth": smooth.numpy(),
        # Three channels and twice the size.
        "large": np.array(tf.io.encode_png(large).numpy(), dtype=object),
        **{f"weigh_{name}": rng.normal(size=value.shape).astype(np.float32) for name, value in outputs.items()},
    }


@pytest.fixture(scope="module")
def exported(embedder, tmp_path_factory):
    """The folder of the exported model."""
    folder = tmp_path_factory.mktemp("export")
    assert export_saved_model(embedder, folder / "served") == ["serving_default", "encoded", "explain"]
    return folder / "served"


@pytest.fixture(scope="module")
def served(exported, given):
    """What a process that never imports gsp_tf gets from the exported model."""
    batch = exported.parent / "batch.npz"
    # Bytes end in zeros that NumPy's own strings would cut: they travel as arrays of objects.
    np.savez(batch, **given)
    code = SERVE.replace("np.load(batch)", "np.load(batch, allow_pickle=True)")
    run_python(code, exported, batch)
    with np.load(f"{batch}.out.npz") as file:
        return {name: file[name] for name in file.files}


def test_its_signatures(served):
    assert served["signatures"].tolist() == ["encoded", "explain", "serving_default"]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_it_gives_the_embedder_s_outputs_for_any_batch_size(embedder, given, served, count):
    wanted = {name: value[:count] for name, value in embed(embedder, given["images"]).items()}
    for name in ("embedding", "encoded", "explain_embedding"):
        assert served[f"{name}_{count}"].shape == (count, 8)
        np.testing.assert_allclose(served[f"{name}_{count}"], wanted["embedding"], atol=1e-6)
    for name in ("weights", "histogram"):
        assert served[f"explain_{name}_{count}"].shape == wanted[name].shape
        np.testing.assert_allclose(served[f"explain_{name}_{count}"], wanted[name], atol=1e-6)
    np.testing.assert_allclose(served[f"explain_weights_{count}"].sum(axis=(1, 2)), np.ones(count), atol=1e-5)


def test_jpeg_and_other_sizes_are_decoded_and_resized(embedder, given, served):
    smooth = tf.stack([tf.io.decode_jpeg(content) for content in given["jpeg"]]).numpy()
    assert np.abs(smooth.astype(int) - given["smooth"]).max() <= 10
    halved = tf.image.resize(np.kron(given["images"][0], np.ones((2, 2, 1))), (32, 32), antialias=True).numpy()
    images = np.concatenate([smooth / np.float32(255), halved[np.newaxis]])
    np.testing.assert_allclose(served["mixed"], embed(embedder, images)["embedding"], atol=1e-4)


def test_gradients_flow_through_it_as_through_the_embedder(embedder, given, served):
    images = tf.constant(given["images"])
    prototypes, = [weight for weight in embedder.trainable_weights if "prototypes" in weight.name]
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = embedder(images, training=False)
        loss = sum(tf.reduce_sum(given[f"weigh_{name}"] * value) for name, value in outputs.items())
    wanted = tape.gradient(loss, [images, prototypes])
    for name, gradient in zip(("d_images", "d_prototypes"), wanted, strict=True):
        gradient = np.asarray(gradient)
        assert np.all(np.isfinite(served[name])) and np.abs(gradient).max() > 1e-3
        np.testing.assert_allclose(served[name], gradient, atol=1e-5 * np.abs(gradient).max())


def test_average_pooling_has_nothing_to_explain(trained_job, given, tmp_path):
    embedder = load_embedder(trained_job / "GAP" / "seed_0")
    assert export_saved_model(embedder, tmp_path / "served") == ["serving_default", "encoded"]
    served = tf.saved_model.load(str(tmp_path / "served"))
    embedding = served.signatures["serving_default"](images=tf.constant(given["images"]))["embedding"]
    np.testing.assert_allclose(embedding, embed(embedder, given["images"])["embedding"], atol=1e-6)


def test_it_can_be_trained_further(exported, given):
    served = tf.saved_model.load(str(exported))
    prototypes, = [variable for variable in served.model_variables if "prototypes" in variable.name]
    images, target = tf.constant(given["images"]), tf.one_hot([3] * 5, 8)
    losses = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            losses.append(tf.reduce_mean(tf.square(served.explain(images)["histogram"] - target)))
        prototypes.assign_sub(tape.gradient(losses[-1], prototypes))
    assert losses[-1] < losses[0]


def test_half_precision_is_served_as_float32(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    images = keras.Input((8, 8, 1))
    flat = keras.layers.Dense(4)(keras.layers.Flatten()(images))
    embedder = keras.Model(images, {"embedding": flat})
    export_saved_model(embedder, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    assert served.signatures["serving_default"](images=tf.ones((2, 8, 8, 1)))["embedding"].dtype == tf.float32


def test_images_of_any_size_are_refused(tmp_path):
    images = keras.Input((None, None, 3))
    embedder = keras.Model(images, {"embedding": keras.layers.GlobalAveragePooling2D()(images)})
    with pytest.raises(ValueError, match="embedder must take images of one size; got input shape"):
        export_saved_model(embedder, tmp_path / "served")


def test_a_directory_that_cannot_be_written_is_a_user_error(trained_job, tmp_path):
    (tmp_path / "file").write_text(json.dumps({}))
    with pytest.raises(UserError, match="--export .*served cannot be written: .*; give another directory") as caught:
        export_saved_model(load_embedder(trained_job / "GAP" / "seed_0"), tmp_path / "file" / "served")
    assert "\n" not in str(caught.value)
