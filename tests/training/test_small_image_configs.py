"""The configs of CIFAR and MNIST, in their order: what one trains, another begins with."""

from pathlib import Path

import numpy as np
import pytest
from tensorflow import keras

from gsp_tf.backbones import weights_hash
from gsp_tf.data.mini import make_mini
from gsp_tf.protocols.protocol import run_directory
from gsp_tf.training.build import build_dataset, build_embedder
from gsp_tf.training.config import as_plain
from gsp_tf.training.distribution import build_strategy
from gsp_tf.training.job_config import load_job
from gsp_tf.training.run import train_run
from tests.stacks import on_addons_stack

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# Two epochs of one step each.
SHORT = ["data.allow_partial=true", "training.steps=2", "training.evaluate_every=1", "prototypes.warmup_steps=0",
         "prototypes.num_features=256"]
# On the current stack the documents' commands train from these configs.
pytestmark = [pytest.mark.filterwarnings("ignore"), on_addons_stack]


@pytest.fixture(scope="module")
def minis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minis")
    for name in ("cifar10", "cifar100", "mnist"):
        make_mini(name, folder / name, images_per_class=2)
    return folder


def short_run(config, method, folder, path, *overrides):
    """The result of a short training of one method."""
    job = load_job(CONFIGS / config, [*SHORT, f"data.path={path}", *overrides], only=[method])
    result = train_run(job.methods[method], 0, folder, build_strategy("one_device"), {"method": method})
    assert result["steps"] == 2 and 0 <= result["test"]["MAP@R"] <= 1
    return result


@pytest.fixture(scope="module")
def classifier(minis, tmp_path_factory):
    """The network that the collage begins with, from its config and under the name that the collage's has."""
    job = load_job(CONFIGS / "cifar100/classification.yaml").name
    path = run_directory(tmp_path_factory.mktemp("runs") / job, "softmax", 0) / "model.keras"
    short_run("cifar100/classification.yaml", "softmax", path.parent, minis / "cifar100",
              "training.classes_per_batch=8")
    named = load_job(CONFIGS / "cifar_collage/table.yaml").methods["GAP@C2"].model.backbone.arguments["weights"]
    assert path.as_posix().endswith(named.removeprefix("runs/"))
    return path


def test_the_collage_begins_with_the_classifiers_network(minis, classifier, tmp_path):
    overrides = [f"data.path={minis / 'cifar100'}", "data.allow_partial=true", f"model.backbone.weights={classifier}"]
    config = load_job(CONFIGS / "cifar_collage/distilled.yaml", overrides).methods["GAP@C2"]
    dataset = build_dataset(config, "validation")
    network = build_embedder(config, dataset.image_shape).get_layer("resnet20")
    trained = keras.models.load_model(classifier, compile=False).get_layer("resnet20")
    assert len(network.weights) == len(trained.weights) > 90
    for mine, other in zip(network.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    assert dataset.image_shape == (32, 32, 3)


def test_a_collage_run(minis, classifier, tmp_path):
    result = short_run("cifar_collage/table.yaml", "GSP+ZSR@ProxyNCA++", tmp_path, minis / "cifar100",
                       f"model.backbone.weights={classifier}", "training.samples_per_class=1")
    assert result["weights_sha256"] == weights_hash(classifier)
    assert result["config"]["data"]["name"] == "cifar_collage" and result["config"]["training"]["plateau"]
    assert result["config"]["model"]["pooling"] == {
        "name": "GSPLayer", "num_prototypes": 128, "mu": 0.2, "epsilon": 10.0
    }
    assert result["config"]["regularizer"]["weight"] == 0.5


def test_zero_shot_prediction_with_the_regulariser(minis, tmp_path):
    result = short_run("cifar10/zero_shot.yaml", "GSP+ZSR", tmp_path, minis / "cifar10",
                       "training.samples_per_class=2")
    assert keras.models.load_model(tmp_path / "model.keras", compile=False).output["histogram"].shape == (None, 8)
    assert result["selected_on"] == "test"


def test_alternating_proxies_of_digits(minis, tmp_path):
    short_run("mnist/ccp.yaml", "C2+CCP", tmp_path, minis / "mnist", "training.samples_per_class=1",
              "training.classes_per_batch=4")
    assert keras.models.load_model(tmp_path / "model.keras", compile=False).output["embedding"].shape == (None, 2)
    assert "radius_after" in (tmp_path / "log.csv").read_text().splitlines()[0]


def test_methods_differ_only_by_the_regulariser_and_by_the_projections():
    for config, key, plain, other in (("cifar10/zero_shot.yaml", "regularizer", "GSP", "GSP+ZSR"),
                                      ("mnist/ccp.yaml", "projections", "C2", "C2+CCP")):
        methods = {name: as_plain(method) for name, method in load_job(CONFIGS / config).methods.items()}
        assert set(methods) == {plain, other} and methods[plain][key] is None and methods[other].pop(key) is not None
        methods[plain].pop(key)
        assert methods[plain] == methods[other]


def test_the_collage_compares_the_poolings_of_table_4_with_both_losses():
    methods = load_job(CONFIGS / "cifar_collage/table.yaml").methods
    poolings = ("GAP GMP GAP+GMP GeM GeMax CBAM CroW DeLF GSoP OTP OTP-64x128 SOLAR SMK NetVLAD NetVLAD-64x128 WELDON "
                "GSP GSP+ZSR").split()
    assert set(methods) == {f"{pooling}@{loss}" for pooling in poolings for loss in ("C2", "ProxyNCA++")}
    distilled = load_job(CONFIGS / "cifar_collage/distilled.yaml").methods
    assert set(distilled) == {"GAP@C2", "GAP@ProxyNCA++"}
    for name, config in distilled.items():
        with_background, without = as_plain(methods[name]), as_plain(config)
        assert without["data"].pop("background") is False and without == with_background
