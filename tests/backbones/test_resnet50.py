import h5py
import numpy as np
import pytest
from tensorflow import keras

from gsp_tf.backbones import load_torch_state_dict, load_weights, resnet50
from gsp_tf.backbones.keras_tensors import keras_tensors
from gsp_tf.errors import UserError
from tests.backbones.random_tensors import random_tensors
from tests.finite_differences import relative_error
from tests.reference.residual import resnet50_torch


@pytest.fixture(scope="module")
def keras_network():
    network = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    return network, random_tensors(network, np.random.default_rng(0))


@pytest.fixture(scope="module")
def published(keras_network, tmp_path_factory):
    """The weights in the layout of the published file: the names of layers, each with its variables and Keras 2's ends."""
    network, tensors = keras_network
    path = tmp_path_factory.mktemp("weights") / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with h5py.File(path, "w") as file:
        names = [layer.name for layer in network.layers]
        file.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            own = [key for key in tensors if key.startswith(f"{name}/")]
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{key}:0".encode() for key in own]
            for key in own:
                group[f"{key}:0"] = tensors[key].astype(np.float32)
    return path


@pytest.fixture(scope="module")
def models(published):
    return {"keras": resnet50((None, None, 3), published), "torch": resnet50((None, None, 3), style="torch")}


def assert_holds(model, tensors):
    found = keras_tensors(model)
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        np.testing.assert_array_equal(found[name].numpy(), value.astype(np.float32), err_msg=name)


def empty(model):
    model.set_weights([np.zeros_like(value) for value in model.get_weights()])


@pytest.mark.parametrize("size", [(64, 64), (35, 50)])
def test_keras_weights_give_keras_features(keras_network, models, size, rng):
    network, tensors = keras_network
    assert_holds(models["keras"], tensors)
    images = rng.normal(size=(1, *size, 3)).astype(np.float32)
    expected = network(images, training=False).numpy()
    assert expected.std() > 1e-2
    assert relative_error(models["keras"](images, training=True).numpy(), expected) < 1e-5


@pytest.mark.parametrize("ending", ["h5", "keras", "weights.h5"])
def test_what_keras_saves(keras_network, models, tmp_path, ending):
    network, tensors = keras_network
    if ending == "weights.h5" and not hasattr(keras, "Variable"):
        pytest.skip("Keras 2 saves no names of layers in .weights.h5")
    path = tmp_path / f"model.{ending}"
    if ending == "weights.h5":
        network.save_weights(path)
    else:
        network.save(path)
    empty(models["keras"])
    load_weights(models["keras"], path)
    assert_holds(models["keras"], tensors)


def test_torch_style_equals_loops(models, rng):
    tensors = random_tensors(models["torch"], rng)
    images = rng.normal(size=(1, 35, 48, 3)).astype(np.float32)
    expected = resnet50_torch(images[0], tensors)
    assert expected.std() > 1e-2
    assert relative_error(models["torch"](images)[0].numpy(), expected) < 1e-5


def test_state_dict_without_pytorch(models, rng):
    state = {"fc.weight": np.zeros((1000, 2048)), "bn1.num_batches_tracked": np.array(3)}
    there = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}
    tensors = random_tensors(models["torch"], rng)
    for name, value in tensors.items():
        layer, _, variable = name.rpartition("/")
        state[f"{layer}.{there[variable]}"] = value.transpose(3, 2, 0, 1) if variable == "kernel" else value
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    empty(models["torch"])
    load_torch_state_dict(models["torch"], state)
    assert_holds(models["torch"], tensors)


@pytest.mark.parametrize(("style", "epsilon", "biased"), [("keras", 1.001e-5, True), ("torch", 1e-5, False)])
def test_styles(models, style, epsilon, biased):
    model = models[style]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.epsilon for layer in norms} == {epsilon}
    assert {layer.use_bias for layer in convolutions} == {biased}
    assert len(convolutions) == len(norms) == 53
    strided = {layer.kernel_size[0] for layer in convolutions if layer.strides[0] == 2}
    # The stem is 7×7; the shortcuts are 1×1 in both.
    assert strided == ({7, 1} if style == "keras" else {7, 3, 1})
    for size, cells in ((224, 7), (227, 8)):
        assert tuple(model.compute_output_shape((None, size, size, 3))) == (None, cells, cells, 2048)
    assert not any(layer.trainable for layer in norms)


def test_wrong_style(models, published, tmp_path):
    with pytest.raises(ValueError, match="style must be one of 'keras', 'torch'; got 'caffe'"):
        resnet50((64, 64, 3), style="caffe")
    with pytest.raises(UserError, match="need style: torch; got style: keras"):
        resnet50((64, 64, 3), tmp_path / "resnet50-0676ba61.pth")
    with pytest.raises(UserError, match=r"missing: .*\bconv1/kernel, .*unexpected: .*\bconv5_block3_3_conv/kernel"):
        load_weights(models["torch"], published)
