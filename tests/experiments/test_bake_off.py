import json
import re

import pytest

from gsp_tf.commands import train
from gsp_tf.experiments.bake_off import main
from tests.tiny_job import GSP, SHARED, write_yaml

AXES = {
    "pooling": {"GAP": {"model": {"pooling": {"name": "GAPPooling"}}}, "GSP": {"model": {"pooling": GSP}}},
    "loss": {"C2": {}, "PNCA": {"loss": {"name": "ProxyNCALoss"}}},
}


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bake_off")
    values = {"name": "baked", **SHARED, "training": {**SHARED["training"], "steps": 8}, "axes": AXES}
    config = write_yaml(folder / "bake_off.yaml", values)
    assert main(["--config", str(config), "--out", str(folder / "run")]) == 0
    return folder


def test_every_pooling_is_trained_with_every_loss_and_measured(job):
    folders = {path.parent.parent.name for path in (job / "run").rglob("result.json")}
    assert folders == {"GAP@C2", "GAP@PNCA", "GSP@C2", "GSP@PNCA"}
    costs = json.loads((job / "run/costs.json").read_text())
    assert list(costs) == ["GAP", "GSP"] and costs["GAP"]["time"] == 1 and costs["GSP"]["time"] > 0.5
    assert costs["GSP"]["parameters"] - costs["GAP"]["parameters"] == 8 * 8
    assert all(0 < cost["megabytes"] < 2000 for cost in costs.values())
    head, _, gap, gsp = (job / "run/bake_off.md").read_text().splitlines()
    assert head == (
        "| pooling | C2 MAP@R | C2 P@1 | PNCA MAP@R | PNCA P@1 | parameters | time / first | peak MB |"
    )
    result = json.loads((job / "run/GSP@PNCA/seed_0/result.json").read_text())
    assert gsp.startswith("| GSP |") and gsp.split(" | ")[3] == f"{100 * result['test']['MAP@R']:.2f}"
    assert gap.startswith("| GAP |") and " 1.00 | " in gap
    assert (job / "run/bake_off.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_start_repeats_nothing(job, monkeypatch, capsys):
    for name in ("gsp_tf.training.run._train", "gsp_tf.experiments.bake_off.step_times",
                 "gsp_tf.experiments.bake_off.peak_memory"):
        monkeypatch.setattr(name, None)
    before = (job / "run/bake_off.md").read_text()
    assert main(["--config", str(job / "bake_off.yaml"), "--out", str(job / "run")]) == 0
    printed = capsys.readouterr().out
    assert len(re.findall("finished earlier", printed)) == 4 and "GSP" in printed
    assert (job / "run/bake_off.md").read_text() == before


def test_train_py_takes_the_same_config(job, monkeypatch, capsys):
    monkeypatch.setattr("gsp_tf.training.run._train", None)
    assert train.main(["--config", str(job / "bake_off.yaml"), "--out", str(job / "run")]) == 0
    assert "GSP@PNCA" in capsys.readouterr().out


def test_a_config_of_other_methods_is_refused(tmp_path, capsys):
    config = write_yaml(tmp_path / "job.yaml", {"name": "job", **SHARED, "methods": {"GAP": AXES["pooling"]["GAP"]}})
    assert main(["--config", str(config), "--out", str(tmp_path / "run")]) == 2
    assert "has the axes pooling and loss, so that every method is named pooling@loss; got the method GAP" in (
        capsys.readouterr().err)
    assert not (tmp_path / "run").exists()
