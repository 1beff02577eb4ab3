"""Data sets in their official layouts, from files to results, by the configs of the real runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from gsp_tf.commands.evaluate import main as evaluate
from gsp_tf.commands.train import main as train
from gsp_tf.data.mini import make_mini
from gsp_tf.errors import UserError
from gsp_tf.metrics import retrieval_metrics
from gsp_tf.training.evaluation import measure
from gsp_tf.training.image_data import image_dataset, image_split_hash
from tests.stacks import on_addons_stack, on_current_stack

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"resize": 40, "crop": 32, "min_side": 20}
NAMES = ("cub", "cars196", "sop", "inshop", "cifar10", "cifar100", "mnist", "folder")


@pytest.fixture(scope="module")
def minis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minis")
    for name in NAMES:
        make_mini(name, folder / name, images_per_class=4)
    return folder


def part_of(minis, name, part, **arguments):
    partial = {} if name == "folder" else {"allow_partial": True}
    size = {"mnist": 28, "cifar10": 32, "cifar100": 32}.get(name)
    augmentation = SMALL if size is None else {"resize": size, "crop": size, "min_side": size, "ratio": [1, 1]}
    return image_dataset(name, part, minis / name, augmentation=augmentation, **partial, **arguments)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_gives_its_parts(minis, name):
    train_part, validation, test = (part_of(minis, name, part) for part in ("train", "validation", "test"))
    assert not set(train_part.class_names) & set(validation.class_names)
    if name not in ("cifar10", "cifar100", "mnist"):
        assert not set(test.class_names) & {*train_part.class_names, *validation.class_names}
    images, labels = next(train_part.training_batches(2, 2, seed=0))
    assert images.shape == (4, *train_part.image_shape) and images.dtype == np.float32 and len(set(labels)) == 2
    assert sum(len(batch) for batch in test.evaluation_batches(7)) == len(test.labels)
    assert (test.gallery is not None) == (name == "inshop") and validation.gallery is None


@pytest.mark.filterwarnings("ignore")
def test_splits(minis):
    held_out = [part_of(minis, "cub", "validation", fold=fold).class_names for fold in range(4)]
    assert sorted(sum(held_out, ())) == sorted(part_of(minis, "cub", "train", split="conventional").class_names)
    assert part_of(minis, "cub", "validation", split="tuning", folds=3).class_names
    conventional = part_of(minis, "cub", "validation", split="conventional")
    assert conventional.class_names == part_of(minis, "cub", "test").class_names
    assert part_of(minis, "inshop", "validation", split="conventional").gallery is not None
    given = part_of(minis, "folder", "validation", test=0.25, validation=0.25)
    assert given.num_classes == part_of(minis, "folder", "test", test=0.25, validation=0.25).num_classes == 3
    with pytest.raises(ValueError, match="fold must be below the number of partitions, 4; got 4"):
        part_of(minis, "cub", "train", fold=4)
    with pytest.raises(ValueError, match="split must be one of 'fair', 'tuning', 'conventional'; got 'official'"):
        part_of(minis, "cub", "train", split="official")
    with pytest.raises(UserError, match="data.test is for name: folder; cub has parts of its own: remove it"):
        part_of(minis, "cub", "train", test=0.5)
    arguments = {"path": minis / "cub", "allow_partial": True}
    hashes = [image_split_hash("cub", **arguments, fold=fold) for fold in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.filterwarnings("ignore")
def test_queries_meet_the_gallery_alone(minis):
    """Two classes that only one of the two has keep the labels apart."""
    test = part_of(minis, "inshop", "test")

    def embedder(images, training):
        return np.asarray(images).mean(axis=(1, 2))

    class Embedder:
        def __call__(self, images, training):
            import tensorflow as tf

            return tf.reduce_mean(images, axis=(1, 2))

    found = measure(Embedder(), test, ks=(1, 2))
    points = [np.concatenate([embedder(batch, False) for batch in part.evaluation_batches(64)])
              for part in (test, test.gallery)]
    names = [np.array(part.class_names)[part.labels] for part in (test, test.gallery)]
    codes = {name: code for code, name in enumerate(sorted({*names[0], *names[1]}))}
    labels = [np.array([codes[name] for name in part]) for part in names]
    expected = retrieval_metrics(points[0], labels[0], points[1], labels[1], ks=(1, 2))
    assert found == pytest.approx(expected, abs=1e-6)


REAL_RUNS = {
    "cub": ("fair", "C2@GSP", []),
    "cars196": ("conventional", "C1+XBM@GSP@ResNet50-512", ["data.augmentation={resize: 72, crop: 64, min_side: 32}"]),
    "sop": ("fair", "C1+XBM@GAP", ["data.augmentation={resize: 72, crop: 63, min_side: 32}"]),
    "inshop": ("fair", "C2+CCP@GSP", ["data.augmentation={resize: 72, crop: 64, min_side: 32}"]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [
    pytest.param("cub", marks=on_current_stack), pytest.param("cars196", marks=on_addons_stack),
    pytest.param("sop", marks=on_current_stack), pytest.param("inshop", marks=on_addons_stack),
])
def test_the_configs_of_the_real_runs(minis, name, tmp_path, monkeypatch, capsys):
    """Two epochs of two steps with the real backbones, from random weights, at the real size for one of them."""
    monkeypatch.chdir(ROOT)
    protocol, method, overrides = REAL_RUNS[name]
    loss, _, *backbone = method.split("@")
    # What stands in the axes goes over what stands beside them.
    own = "training={evaluate_every: 2, samples_per_class: 2, classes_per_batch: 2}"
    arguments = [
        "--config", f"configs/{name}/{protocol}.yaml", "--method", method, "--out", str(tmp_path / "run"),
        "--only", "repeat=0" if backbone else "fold=0,repeat=0", "--override",
        f"data.path={minis / name}", "data.allow_partial=true", "model.backbone.weights=null",
        "training.steps=4", "training.evaluate_every=2", "training.classes_per_batch=2", "training.samples_per_class=2",
        "prototypes.num_features=256", f"axes.loss.{loss}.{own}", *overrides,
    ]
    for option in backbone:
        arguments += [f"axes.backbone.{option}.model.backbone.weights=null", f"axes.backbone.{option}.{own}"]
    if "XBM" in method:
        arguments.append("axes.loss.C1+XBM.memory={size_in_batches: 1, start_after: 0}")
    if "CCP" in method:
        arguments += ["axes.loss.C2+CCP.proxies={per_class: 2}", "axes.loss.C2+CCP.projections.patience=1"]
    assert train(arguments) == 0
    path, = (tmp_path / "run" / method).rglob("result.json")
    result = json.loads(path.read_text())
    chosen_on = {"fair": "validation", "conventional": "test"}[protocol]
    assert len(result["split_hash"]) == 64 and result["selected_on"] == chosen_on and result["protocol"] == protocol
    assert 0 <= result["test"]["MAP@R"] <= 1 and result["parameters"] > 5e6
    assert len(result["evaluations"]) == 2 and ("learning_rate" in result["evaluations"][0]) == bool(backbone)
    capsys.readouterr()
    assert evaluate([str(tmp_path / "run")]) == 0
    assert ("THE TEST SET CHOSE THE CHECKPOINT" in capsys.readouterr().out) == (protocol == "conventional")
