import hashlib
import sys
import types

import numpy as np
import pytest
from tensorflow import keras

from gsp_tf.backbones import load_torch_state_dict, load_weights, read_weights, resnet20, weights_hash
from gsp_tf.backbones.keras_tensors import keras_tensors
from gsp_tf.errors import UserError
from tests.backbones.random_tensors import random_tensors


def small_network():
    images = keras.Input((4, 4, 3))
    features = keras.layers.Conv2D(2, 3, name="conv1")(images)
    features = keras.layers.BatchNormalization(name="conv1_bn")(features)
    features = keras.layers.LayerNormalization(name="norm")(features)
    return keras.Model(images, keras.layers.Dense(5, name="embed")(features), name="small")


def small_state(rng):
    return {
        "conv1.weight": rng.normal(size=(2, 3, 3, 3)),
        "conv1.bias": rng.normal(size=2),
        "conv1_bn.weight": rng.normal(size=2),
        "conv1_bn.bias": rng.normal(size=2),
        "conv1_bn.running_mean": rng.normal(size=2),
        "conv1_bn.running_var": rng.uniform(size=2),
        "norm.weight": rng.normal(size=2),
        "norm.bias": rng.normal(size=2),
        "embed.weight": rng.normal(size=(5, 2)),
        "embed.bias": rng.normal(size=5),
    }


def assert_holds(model, state):
    found = {name: variable.numpy() for name, variable in keras_tensors(model).items()}
    expected = {
        "conv1/kernel": state["conv1.weight"].transpose(2, 3, 1, 0),
        "conv1/bias": state["conv1.bias"],
        "conv1_bn/gamma": state["conv1_bn.weight"],
        "conv1_bn/beta": state["conv1_bn.bias"],
        "conv1_bn/moving_mean": state["conv1_bn.running_mean"],
        "conv1_bn/moving_variance": state["conv1_bn.running_var"],
        "norm/gamma": state["norm.weight"],
        "norm/beta": state["norm.bias"],
        "embed/kernel": state["embed.weight"].T,
        "embed/bias": state["embed.bias"],
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value.astype(np.float32), err_msg=name)


EXTRAS = {
    "as it is": lambda state: state,
    "with the known extras": lambda state: {
        **state, "conv1_bn.num_batches_tracked": np.array(7), "fc.weight": np.ones((9, 5)), "fc.bias": np.ones(9),
        "last_linear.weight": np.ones((9, 5)), "last_linear.bias": np.ones(9),
    },
    "of DataParallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "with rows for vectors": lambda state: {
        name: value[None] if name.startswith("conv1_bn.") else value for name, value in state.items()
    },
    "in half precision": lambda state: {name: value.astype(np.float16) for name, value in state.items()},
}


@pytest.mark.parametrize("form", EXTRAS)
def test_state_dict(form, rng):
    state = {name: value.astype(np.float16).astype(np.float64) for name, value in small_state(rng).items()}
    model = small_network()
    load_torch_state_dict(model, EXTRAS[form](state))
    assert_holds(model, state)


def test_everything_wrong_is_named_and_nothing_is_loaded(rng):
    model = small_network()
    before = model.get_weights()
    state = small_state(rng)
    del state["conv1.bias"], state["conv1_bn.running_var"]
    state["conv2.weight"], state["layer9.0.bias"] = np.ones((2, 2, 1, 1)), np.ones(2)
    state["conv1.weight"] = state["conv1.weight"][:, :, :2]
    state["embed.weight"] = state["embed.weight"].T
    state["norm.bias"] = np.array(["a", "b"])
    with pytest.raises(UserError) as error:
        load_torch_state_dict(model, state)
    assert str(error.value) == (
        "the weights do not fit small, and none was loaded: "
        "2 missing: conv1.bias, conv1_bn.running_var; "
        "2 unexpected: conv2.weight, layer9.0.bias; "
        "3 misshapen: conv1.weight (is (2, 3, 2, 3), must be (2, 3, 3, 3)), norm.bias (holds <U1, no numbers), "
        "embed.weight (is (2, 5), must be (5, 2))"
    )
    for value, original in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, original)


def test_a_layer_that_a_state_dict_cannot_fill():
    images = keras.Input((4, 4, 3))
    model = keras.Model(images, keras.layers.Conv2DTranspose(2, 1, name="up")(images), name="small")
    with pytest.raises(UserError, match="small has weights in up, a Conv2DTranspose"):
        load_torch_state_dict(model, {})


def embedder(backbone):
    images = keras.Input((8, 8, 3))
    return keras.Model(images, keras.layers.Conv2D(4, 1, name="local_features")(backbone(images)))


@pytest.mark.parametrize("whole", ["the backbone", "a model with it inside"])
@pytest.mark.parametrize("ending", ["npz", "h5", "keras", "weights.h5"])
def test_keras_files(whole, ending, tmp_path, rng):
    if ending == "weights.h5" and not hasattr(keras, "Variable"):
        pytest.skip("Keras 2 saves no names of layers in .weights.h5; see the next test")
    original = resnet20((None, None, 3))
    tensors = random_tensors(original, rng)
    saved = original if whole == "the backbone" else embedder(original)
    path = tmp_path / f"weights.{ending}"
    if ending == "npz":
        np.savez(path, **{name: variable.numpy() for name, variable in keras_tensors(saved).items()})
    elif ending == "weights.h5":
        saved.save_weights(path)
    else:
        saved.save(path)
    loaded = keras_tensors(resnet20((None, None, 3), path))
    assert loaded.keys() == tensors.keys()
    for name, value in tensors.items():
        np.testing.assert_array_equal(loaded[name], value.astype(np.float32))


def test_keras_2_has_no_names_in_numbered_files(tmp_path):
    if hasattr(keras, "Variable"):
        pytest.skip("Keras 3 saves the names of layers in .weights.h5")
    model = resnet20((8, 8, 3))
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(UserError, match="without the layers' names, as Keras 2 does"):
        load_weights(model, tmp_path / "model.weights.h5")
    model.save_weights(tmp_path / "model.h5")
    load_weights(resnet20((8, 8, 3)), tmp_path / "model.h5")


def test_dropout_and_a_classifier_are_no_tensors_of_the_network(tmp_path, rng):
    def network(top):
        images = keras.Input((4, 4, 3))
        features = keras.layers.Dropout(0.5)(keras.layers.Dense(2, name="embed")(images))
        if top:
            features = keras.layers.Dense(7, name="predictions")(features)
        return keras.Model(images, features, name="small")

    original = network(True)
    original.save_weights(tmp_path / ("w.weights.h5" if hasattr(keras, "Variable") else "w.h5"))
    model = network(False)
    load_weights(model, next(tmp_path.iterdir()))
    np.testing.assert_array_equal(model.get_weights()[0], original.get_weights()[0])


def test_wrong_keras_file_names_everything(tmp_path):
    model = small_network()
    tensors = {name: variable.numpy() for name, variable in keras_tensors(model).items()}
    tensors["stem/kernel"] = tensors.pop("conv1/kernel")
    tensors["embed/bias"] = np.ones(4)
    path = tmp_path / "wrong.npz"
    np.savez(path, **tensors)
    with pytest.raises(UserError) as error:
        load_weights(model, path)
    assert str(error.value) == (
        f"{path}: the weights do not fit small, and none was loaded: 1 missing: conv1/kernel; "
        "1 unexpected: stem/kernel; 1 misshapen: embed/bias (is (4,), must be (5,))"
    )


def test_layers_of_one_name(tmp_path):
    class Twice(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.second = (keras.layers.Dense(2, name="dense") for _ in range(2))

        def call(self, inputs):
            return self.second(self.first(inputs))

    images = keras.Input((4, 4, 3))
    with pytest.raises(UserError, match="has several layers named .*dense: give them names of their own"):
        keras_tensors(keras.Model(images, Twice()(images)))


@pytest.mark.parametrize("ending", ["npz", "h5", "keras", "pth"])
@pytest.mark.parametrize("content", [b"", b"not what its ending says" * 40])
def test_unreadable_files(ending, content, tmp_path):
    path = tmp_path / f"weights.{ending}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as|need PyTorch"):
        read_weights(path)


def test_truncated_files(tmp_path):
    model = small_network()
    model.save(tmp_path / "a.keras")
    model.save(tmp_path / "a.h5")
    np.savez(tmp_path / "a.npz", **{name: variable.numpy() for name, variable in keras_tensors(model).items()})
    for path in list(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UserError, match="cannot be read as"):
            read_weights(path)


def test_no_pickled_objects(tmp_path):
    np.savez(tmp_path / "a.npz", kernel=np.array([{"a": 1}], object))
    with pytest.raises(UserError, match="cannot be read as arrays saved by numpy.savez"):
        read_weights(tmp_path / "a.npz")


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        read_weights(tmp_path / "none.npz")
    with pytest.raises(UserError, match=r"must be a file that ends in \.pth, \.pt, \.npz, \.h5, \.keras; got"):
        read_weights(tmp_path / "weights.caffemodel")


def test_pth_without_pytorch(tmp_path, monkeypatch):
    (tmp_path / "a.pth").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r'need PyTorch to be opened: run pip install "gsp-tf\[torch\]"'):
        read_weights(tmp_path / "a.pth")


def test_pth_is_opened_without_running_it(tmp_path, monkeypatch):
    asked = {}

    class Tensor:
        dtype = "float32"

        def numpy(self):
            return np.ones(2)

    def load(path, **arguments):
        asked.update(arguments)
        return {"epoch": 3, "state_dict": {"a.weight": Tensor()}}

    fake = types.SimpleNamespace(load=load, Tensor=Tensor, bfloat16="bfloat16")
    monkeypatch.setitem(sys.modules, "torch", fake)
    (tmp_path / "a.pth").write_bytes(b"anything")
    assert list(read_weights(tmp_path / "a.pth")) == ["a.weight"]
    assert asked == {"map_location": "cpu", "weights_only": True}
    fake.load = lambda path, **arguments: {"a.weight": Tensor(), "epoch": 3}
    with pytest.raises(UserError, match="must hold a state_dict"):
        read_weights(tmp_path / "a.pth")


def test_hash(tmp_path):
    content = bytes(range(256)) * 9000
    (tmp_path / "a.pth").write_bytes(content)
    assert weights_hash(tmp_path / "a.pth") == hashlib.sha256(content).hexdigest()
    with pytest.raises(UserError, match="No such file"):
        weights_hash(tmp_path / "none.pth")
