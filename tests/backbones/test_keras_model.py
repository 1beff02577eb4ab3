import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.backbones import keras_model
from gsp_tf.backbones.keras_tensors import keras_tensors
from gsp_tf.errors import UserError
from tests.backbones.random_tensors import random_tensors

MODULE = '''
from tensorflow import keras


class Block(keras.layers.Layer):
    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        self.attention = keras.layers.MultiHeadAttention(2, dim // 2, name="attention")
        self.norm = keras.layers.LayerNormalization(name="norm")

    def call(self, tokens):
        inner = self.norm(tokens)
        return tokens + self.attention(inner, inner)


def make_vit(input_shape, dim=8, patch=4):
    images = keras.Input(input_shape)
    tokens = keras.layers.Conv2D(dim, patch, patch, name="patches")(images)
    tokens = keras.layers.Reshape((-1, dim), name="tokens")(tokens)
    for index in range(2):
        tokens = Block(dim, name=f"block{index}")(tokens)
    return keras.Model(images, tokens, name="tiny_vit")


def make_subclassed():
    class Net(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.conv = keras.layers.Conv2D(4, 3, 2, name="conv")
            self.norm = keras.layers.BatchNormalization(name="norm")

        def call(self, images, training=None):
            return self.norm(self.conv(images), training=training)

    return Net()


def make_failing():
    class Failing(keras.layers.Layer):
        def call(self, images):
            raise RuntimeError("three wise")

    return Failing()


def make_vector():
    return keras.Sequential([keras.layers.GlobalAveragePooling2D()])


def make_number():
    return 3


def make_error():
    raise RuntimeError("no such depth")


NUMBER = 3
'''


@pytest.fixture(autouse=True)
def my_package(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("package")
    (folder / "my_vit_package").mkdir()
    (folder / "my_vit_package" / "__init__.py").write_text("")
    (folder / "my_vit_package" / "models.py").write_text(MODULE)
    (folder / "broken_vit_module.py").write_text("import module_that_is_not_there")
    monkeypatch.syspath_prepend(str(folder))


def test_keras_application(rng, tmp_path):
    arguments = {"alpha": 0.35}
    theirs = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(64, 64, 3), alpha=0.35)
    random_tensors(theirs, rng)
    theirs.save(tmp_path / "mobilenet.h5")
    images = rng.uniform(size=(2, 64, 64, 3)).astype(np.float32)
    inputs = keras.Input((64, 64, 3))
    features = keras_model(inputs, "keras.applications.MobileNetV2", arguments, tmp_path / "mobilenet.h5")
    model = keras.Model(inputs, features)
    assert arguments == {"alpha": 0.35}
    np.testing.assert_array_equal(model(images, training=True), theirs(images, training=False))


@pytest.mark.parametrize("path", ["my_vit_package.models:make_vit", "my_vit_package.models.make_vit"])
def test_tokens(path, rng):
    model = keras_model((16, 12, 3), path, {"patch": 4, "dim": 6})
    assert tuple(model.output.shape) == (None, 12, 6)
    assert model(rng.normal(size=(2, 16, 12, 3))).shape == (2, 12, 6)


@pytest.mark.parametrize("ending", ["npz", "weights.h5"])
def test_weights_of_layers_within_layers(ending, tmp_path, rng):
    path = tmp_path / f"vit.{ending}"
    model = keras_model((16, 12, 3), "my_vit_package.models:make_vit")
    tensors = random_tensors(model, rng)
    assert "tiny_vit/block1/attention/query/kernel" in tensors
    if ending == "npz":
        np.savez(path, **tensors)
    elif hasattr(keras, "Variable"):
        model.save_weights(path)
    else:
        pytest.skip("Keras 2 saves no names of layers in .weights.h5")
    images = rng.normal(size=(2, 16, 12, 3)).astype(np.float32)
    again = keras_model((16, 12, 3), "my_vit_package.models:make_vit", weights=path)
    np.testing.assert_array_equal(again(images), model(images))


def test_subclassed_model(rng):
    images = tf.constant(rng.normal(size=(2, 9, 9, 3)), tf.float32)
    for frozen in (True, False):
        model = keras_model((None, None, 3), "my_vit_package.models:make_subclassed", frozen_batch_norm=frozen)
        assert set(keras_tensors(model)) >= {"net/conv/kernel", "net/norm/moving_mean"}
        same = np.allclose(model(images, training=True), model(images, training=False))
        assert same == frozen
        assert len(model.trainable_weights) == (2 if frozen else 4)


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("MobileNetV2", None, "path must be like"),
        ("keras.applications.MobileNetV9", None, "has no MobileNetV9"),
        ("keras.no_such.MobileNetV2", None, "has no no_such"),
        ("my_missing_package.models:make", None, "the module my_missing_package.models cannot be imported"),
        ("broken_vit_module:make", None, "cannot be imported: ModuleNotFoundError: .*module_that_is_not_there"),
        ("my_vit_package.models:make_cnn", None, "my_vit_package.models has no make_cnn"),
        ("my_vit_package.models:NUMBER", None, "must be a function or class that makes a Keras model; got int"),
        ("my_vit_package.models:make_number", None, "must make a Keras model or layer; got int"),
        ("my_vit_package.models:make_error", None, r"make_error\(\) failed: RuntimeError: no such depth"),
        ("my_vit_package.models:make_vit", {"depth": 3}, r"make_vit\(.*depth=3\) failed: TypeError"),
        ("my_vit_package.models:make_vector", None, r"tokens \(B, n, C\), before pooling; got float32 \(None, 3\)"),
        ("my_vit_package.models:make_failing", None, r"the model fails on images of shape \(None, 16, 16, 3\): .*three wise"),
    ],
)
def test_errors_name_what_failed(path, arguments, message):
    with pytest.raises(UserError, match=message):
        keras_model((16, 16, 3), path, arguments)


def test_application_with_its_classifier():
    with pytest.raises(UserError, match=r"MobileNetV2: the model must give a feature map .* got float32 \(None, 1000\)"):
        keras_model((96, 96, 3), "keras.applications.MobileNetV2", {"include_top": True})
