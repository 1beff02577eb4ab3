"""Features of PyTorch's networks from their own checkpoints."""

import numpy as np
import pytest

from gsp_tf.backbones import bn_inception, load_weights, read_weights, resnet50
from tests.finite_differences import relative_error

torch = pytest.importorskip("torch", reason="PyTorch, the extra torch, is not installed")

from tests.backbones.torch_networks import BNInception, ResNet50, randomized  # noqa: E402

NETWORKS = {
    "bn_inception": (BNInception, lambda weights: bn_inception((None, None, 3), weights)),
    "resnet50": (ResNet50, lambda weights: resnet50((None, None, 3), weights, style="torch")),
}


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request, tmp_path_factory):
    """A network of PyTorch, the backbone with the checkpoint of it, and the checkpoint's path."""
    make, load = NETWORKS[request.param]
    network = randomized(make())
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.pth"
    torch.save(network.state_dict(), path)
    return network, load(path), path


@pytest.mark.parametrize("size", [(224, 224), (227, 227), (97, 130)])
def test_features_are_pytorchs(pair, size, rng):
    network, model, _ = pair
    images = rng.normal(size=(1, *size, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    features = model(images, training=True).numpy()
    assert features.shape == expected.shape
    if size[0] > 200:
        assert features.shape[1:3] == (7, 7) if size[0] == 224 or model.name == "bn_inception" else (8, 8)
    assert np.std(expected) > 1e-2
    assert relative_error(features, expected) < 1e-4
    assert np.linalg.norm(features - expected) < 1e-5 * np.linalg.norm(expected)


def test_a_converted_file_needs_no_pytorch(pair, tmp_path):
    _, model, path = pair
    np.savez(tmp_path / "weights.npz", **read_weights(path))
    before = model.get_weights()
    model.set_weights([np.zeros_like(value) for value in before])
    load_weights(model, tmp_path / "weights.npz")
    for value, original in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, original)
