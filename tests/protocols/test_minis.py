"""The fair protocol on data sets in their official layouts, by the configs of the real runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from gsp_tf.commands.evaluate import main as evaluate
from gsp_tf.commands.train import main as train
from gsp_tf.data.mini import make_mini
from gsp_tf.metrics import retrieval_metrics
from gsp_tf.protocols.results import find_results
from gsp_tf.training.build import build_dataset
from gsp_tf.training.embedding import embed_dataset
from gsp_tf.training.image_data import image_parts
from gsp_tf.training.run import load_embedder, load_run
from tests.stacks import on_addons_stack, on_current_stack

METHOD = "C2@GAP"
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")


def arguments_of(name, data, out, *more):
    """The real config, a network of two small convolutions, and two steps."""
    return [
        "--config", str(ROOT / "configs" / name / "fair.yaml"), "--method", METHOD, "--out", str(out), *more,
        "--override", f"data.path={data}", "data.allow_partial=true",
        "data.augmentation={resize: 36, crop: 32, min_side: 16}", "model.backbone={name: convnet, channels: [4, 8]}",
        "model.local_dim=8", "model.preprocessing=null", "training.steps=2", "training.evaluate_every=1",
        "training.classes_per_batch=2", "training.samples_per_class=2",
    ]


@pytest.mark.parametrize("name", [
    pytest.param("cub", marks=on_current_stack), pytest.param("cars196", marks=on_addons_stack),
    pytest.param("sop", marks=on_addons_stack), pytest.param("inshop", marks=on_addons_stack),
])
def test_twelve_runs_and_the_paper_s_row(name, tmp_path, capsys):
    make_mini(name, tmp_path / "data", classes=12, images_per_class=4)
    assert train(arguments_of(name, tmp_path / "data", tmp_path / "run")) == 0
    capsys.readouterr()
    assert evaluate([str(tmp_path / "run"), "--paper"]) == 0
    head, own, published, *_ = capsys.readouterr().out.splitlines()
    assert "MAP@R 8-D" in head and own.split()[:3] == [METHOD, "81", "collections"]
    # The papers' embeddings have 128 and 512 dimensions, and no column of another size takes their figures.
    assert published.split()[0] == "C2" and "thesis, table 5.1" in published
    card = json.loads((tmp_path / "run" / METHOD / "card.json").read_text())
    assert len(card["runs"]) == 12 and len({run["split_hash"] for run in card["runs"]}) == 4
    folders = {folder.name: folder for folder, _ in find_results(tmp_path / "run")[METHOD]}
    config, _ = load_run(folders["fold_0_repeat_0"])
    test = build_dataset(config, "test")
    last = [folders[f"fold_{fold}_repeat_2"] for fold in range(4)]
    embedders = [load_embedder(folder) for folder in last]
    joined, *gallery = (np.concatenate([embed_dataset(embedder, part) for embedder in embedders], axis=1)
                        for part in (test, test.gallery) if part is not None)
    # In-shop's classes are those of the official list, in its queries and in its gallery.
    names = [[part.class_names[label] for label in part.labels] for part in (test, test.gallery) if part is not None]
    numbers = {of: number for number, of in enumerate(sorted({of for part in names for of in part}))}
    labels = [[numbers[of] for of in part] for part in names]
    references = (gallery[0], labels[1]) if gallery else ()
    wanted = retrieval_metrics(joined, labels[0], *references, ks=(1, 2, 4, 8))
    assert card["collections"][-1]["concatenated"] == pytest.approx(wanted, abs=1e-9)


def test_no_test_image_is_read_before_training_has_ended(tmp_path, capsys):
    """Poison: with every test image destroyed, training goes the same way, and the final evaluation alone fails."""
    data = tmp_path / "data"
    make_mini("cub", data, classes=12, images_per_class=4)
    only = ("--only", "fold=1,repeat=0")
    assert train(arguments_of("cub", data, tmp_path / "clean", *only)) == 0
    kept = {path: Path(path).read_bytes() for path in image_parts("cub", data, allow_partial=True)["test"].images}
    for path in kept:
        Path(path).write_bytes(b"poison")
    poisoned = arguments_of("cub", data, tmp_path / "poisoned", *only)
    capsys.readouterr()
    assert train(poisoned) == 2
    assert str(next(iter(kept)).name) in capsys.readouterr().err
    clean, dirty = (tmp_path / name / f"{METHOD}/fold_1_repeat_0" for name in ("clean", "poisoned"))
    assert (dirty / "log.csv").read_bytes() == (clean / "log.csv").read_bytes()
    assert not (dirty / "result.json").exists()
    for path, content in kept.items():
        Path(path).write_bytes(content)
    assert train(poisoned) == 0
    clean, dirty = (json.loads((folder / "result.json").read_text()) for folder in (clean, dirty))
    assert dirty["test"] == clean["test"] and dirty["evaluations"] == clean["evaluations"]
