"""Whole runs: what they leave behind, and that a killed one goes on as if nothing had happened."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from gsp_tf.errors import UserError
from gsp_tf.training.build import build_dataset
from gsp_tf.training.config import as_plain, parse_run
from gsp_tf.training.config_file import override
from gsp_tf.training.distribution import build_strategy
from gsp_tf.training.evaluation import measure
from gsp_tf.training.run import KS, claim, load_embedder, load_run, train_run
from gsp_tf.training.training_state import TrainingState
from tests.tiny_job import METHODS, run_values

ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """What nothing on the way catches, like a kill."""


@pytest.fixture(autouse=True, scope="module")
def determinism():
    tf.config.experimental.enable_op_determinism()


def train(directory, method="GSP+ZSR", seed=0, **training):
    overrides = {key: training.pop(key) for key in list(training) if "__" in key}
    values = run_values(method, **training)
    for key, value in overrides.items():
        values = override(values, f"{key.replace('__', '.')}={value}")
    return train_run(parse_run(values, "here"), seed, directory, build_strategy("one_device"),
                     {"method": method, "protocol": "comparison", "fold": None, "repeat": 0})


def kill_after(monkeypatch, epochs):
    """Make training die just after it saved this many epochs."""
    saved = TrainingState.on_epoch_end

    def dying(self, epoch, logs=None):
        saved(self, epoch, logs)
        if len(self.history) == epochs:
            raise Killed

    monkeypatch.setattr(TrainingState, "on_epoch_end", dying)


def weights(directory):
    return load_embedder(directory).get_weights()


def assert_same_run(directory, other):
    assert (directory / "log.csv").read_text() == (other / "log.csv").read_text()
    for found, wanted in zip(weights(directory), weights(other), strict=True):
        np.testing.assert_array_equal(found, wanted)
    results = [json.loads((folder / "result.json").read_text()) for folder in (directory, other)]
    for result in results:
        assert result.pop("seconds") > 0
    assert results[0] == results[1]


@pytest.fixture(scope="module")
def reference(trained_job, tmp_path_factory):
    """Folders of undisturbed runs, each trained once."""
    trained = {(method, ("prototypes__warmup_steps", 4)): trained_job / method / "seed_0" for method in METHODS}

    def folder(method, **changes):
        key = (method, *sorted(changes.items()))
        if key not in trained:
            trained[key] = tmp_path_factory.mktemp("reference") / "run"
            train(trained[key], method, **changes)
        return trained[key]

    return folder


def test_a_finished_run_has_all_its_files(trained_job):
    for method in ("GAP", "GSP+ZSR"):
        folder = trained_job / method / "seed_0"
        names = {path.name for path in folder.iterdir()}
        assert names == {".lock", "config.yaml", "log.csv", "checkpoint.npz", "tensorboard", "model.keras", "result.json"}
        assert list((folder / "tensorboard").rglob("events*"))
        result = json.loads((folder / "result.json").read_text())
        assert result["method"] == method and result["seed"] == 0 and result["steps"] == 12
        assert result["best_step"] in (4, 8, 12) and result["replicas"] == 1
        assert set(result["test"]) == {"P@1", "P@R", "MAP@R", "R@1", "R@2", "R@4", "R@8"}
        assert set(result["versions"]) == {"gsp_tf", "tensorflow", "keras", "numpy", "python", "commit"}
        assert result["versions"]["tensorflow"] == tf.__version__ and result["versions"]["keras"][0] in "23"
        rows = (folder / "log.csv").read_text().splitlines()
        assert rows[0].startswith("step,loss,pair_loss") and len(rows) == 4
        best = rows[result["best_step"] // 4].split(",")
        assert float(best[rows[0].split(",").index("val_MAP@R")]) == result["validation"]["MAP@R"]


def test_the_model_is_the_one_that_was_measured(trained_job):
    folder = trained_job / "GSP+ZSR" / "seed_0"
    config, seed = load_run(folder)
    result = json.loads((folder / "result.json").read_text())
    assert seed == 0 and as_plain(config) == result["config"]
    embedder = load_embedder(folder)
    assert measure(embedder, build_dataset(config, "test"), KS) == pytest.approx(result["test"], abs=1e-6)
    validation = measure(embedder, build_dataset(config, "validation"))
    assert validation["MAP@R"] == pytest.approx(result["validation"]["MAP@R"], abs=1e-6)
    assert result["parameters"] == sum(np.prod(weight.shape) for weight in embedder.trainable_weights)


def test_one_seed_fixes_a_run_and_another_changes_it(trained_job, tmp_path):
    train(tmp_path / "same", "GAP")
    train(tmp_path / "other", "GAP", seed=1)
    assert_same_run(tmp_path / "same", trained_job / "GAP" / "seed_0")
    assert (tmp_path / "other/log.csv").read_text() != (tmp_path / "same/log.csv").read_text()


@pytest.mark.parametrize(
    "method, warmup, epochs",
    [("GSP+ZSR", 8, 1), ("GSP+ZSR", 4, 1), ("GSP+ZSR", 4, 2), ("GAP", 4, 1), ("GAP", 4, 3)],
    ids=["before the prototypes", "at the prototypes", "after the prototypes", "no prototypes", "after the last epoch"],
)
def test_a_killed_run_ends_as_an_undisturbed_one(monkeypatch, reference, tmp_path, method, warmup, epochs):
    changes = {"prototypes__warmup_steps": warmup}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, epochs)
        train(tmp_path / "run", method, **changes)
    assert not (tmp_path / "run/result.json").exists()
    assert len((tmp_path / "run/log.csv").read_text().splitlines()) == 1 + epochs
    train(tmp_path / "run", method, **changes)
    assert_same_run(tmp_path / "run", reference(method, **changes))


def test_the_loss_scale_of_half_precision_survives_a_kill(monkeypatch, reference, tmp_path):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 1)
        train(tmp_path / "run", "GAP", precision="mixed_float16")
    train(tmp_path / "run", "GAP", precision="mixed_float16")
    assert_same_run(tmp_path / "run", reference("GAP", precision="mixed_float16"))


def test_a_process_that_is_killed_outright_goes_on_in_another(trained_job, tmp_path):
    code = """
import os, signal, sys
from gsp_tf.commands.train import main
from gsp_tf.training.training_state import TrainingState
saved = TrainingState.on_epoch_end
def dying(self, epoch, logs=None):
    saved(self, epoch, logs)
    if self.directory.parent.name == "GSP+ZSR" and epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)
TrainingState.on_epoch_end = dying
main(sys.argv[1:])
"""
    arguments = ["--config", str(trained_job.parent / "tiny.yaml"), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    first = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment, capture_output=True,
                           check=False, timeout=300)
    assert first.returncode == -signal.SIGKILL
    second = subprocess.run([sys.executable, "train.py", *arguments], cwd=ROOT, env=environment, capture_output=True,
                            text=True, check=False, timeout=300)
    assert second.returncode == 0, second.stderr[-2000:]
    assert "GAP seed 0: finished earlier" in second.stdout and "GSP+ZSR seed 0: finished" not in second.stdout
    for method in ("GAP", "GSP+ZSR"):
        assert_same_run(tmp_path / "run" / method / "seed_0", trained_job / method / "seed_0")


def test_a_finished_run_is_not_trained_again(monkeypatch, trained_job, tmp_path):
    shutil.copytree(trained_job / "GAP" / "seed_0", tmp_path / "run")
    monkeypatch.setattr("gsp_tf.training.run._train", None)
    assert train(tmp_path / "run", "GAP") == json.loads((tmp_path / "run/result.json").read_text())


def test_a_folder_of_another_config_is_left_alone(trained_job, tmp_path):
    shutil.copytree(trained_job / "GAP" / "seed_0", tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for changes, message in [
        ({"steps": 16}, r"training.steps: 12 there, 16 here"),
        ({"seed": 5}, r"seed: 0 there, 5 here"),
        ({"training__patience": 3}, r"training.patience: None there, 3 here"),
        ({"training__optimizer__beta_1": 0.5}, r"training.optimizer.beta_1: None there, 0.5 here"),
        ({"model__pooling": "{name: GMPPooling}"}, "model.pooling.name: 'GAPPooling' there, 'GMPPooling' here"),
    ]:
        with pytest.raises(UserError, match=f"run holds a run of another config \\({message}\\): give another"):
            train(tmp_path / "run", "GAP", **changes)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_key_that_a_folder_lacks_and_that_is_null_is_no_difference(tmp_path):
    config = parse_run(run_values("GAP"), "here")
    claim(tmp_path / "run", config, 0)
    values = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    del values["regularizer"]
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump(values))
    claim(tmp_path / "run", config, 0)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "checkpoint.npz cannot be read .*: delete it"),
        (lambda path: np.savez(path, state="{}", **{"learner/0": np.zeros(3)}), "checkpoint.npz is of another model"),
    ],
    ids=["truncated", "of another model"],
)
def test_a_bad_checkpoint_is_a_user_error(trained_job, tmp_path, damage, message):
    shutil.copytree(trained_job / "GAP" / "seed_0", tmp_path / "run")
    (tmp_path / "run/result.json").unlink()
    damage(tmp_path / "run/checkpoint.npz")
    with pytest.raises(UserError, match=message):
        train(tmp_path / "run", "GAP")


@pytest.mark.parametrize("name, function", [
    ("config.yaml", load_run), ("model.keras", load_embedder), ("result.json", lambda folder: train(folder, "GAP")),
])
def test_a_bad_file_of_a_run_is_a_user_error(trained_job, tmp_path, name, function):
    for damage in ("half", "missing"):
        folder = tmp_path / damage
        shutil.copytree(trained_job / "GAP" / "seed_0", folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        if damage == "missing":
            if name == "result.json":
                continue
            (folder / name).unlink()
        with pytest.raises(UserError, match=name) as caught:
            function(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method, warmup", [("GAP", 0), ("GSP+ZSR", 1), ("GSP+ZSR", 4)])
def test_a_diverging_run_says_so(tmp_path, method, warmup):
    with pytest.raises(UserError, match="training diverged: .* at step .*; lower .*learning_rate") as caught:
        train(tmp_path / "run", method, prototypes__warmup_steps=warmup, training__optimizer__learning_rate=1e30)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run/result.json").exists() and not (tmp_path / "run/model.keras").exists()


def test_an_error_that_is_no_divergence_keeps_its_own_words(monkeypatch, tmp_path):
    def broken(*_, **__):
        raise ValueError("something else")

    monkeypatch.setattr("gsp_tf.training.evaluation.retrieval_metrics", broken)
    with pytest.raises(ValueError, match="something else"):
        train(tmp_path / "run", "GAP")


def test_patience_ends_a_run_early(monkeypatch, tmp_path):
    # Of three evaluations, and of the test images each time.
    scores = itertools.chain([0.5, 0.4, 0.3], itertools.repeat(0.2))
    monkeypatch.setattr(
        "gsp_tf.training.evaluation.retrieval_metrics", lambda *_, **__: {"MAP@R": next(scores), "P@1": 0.1}
    )
    result = train(tmp_path / "run", "GAP", steps=16, patience=2)
    assert result["steps"] == 12 and result["best_step"] == 4 and result["validation"]["MAP@R"] == 0.5
    # Stopped, not killed: a restart without its result trains no more.
    (tmp_path / "run/result.json").unlink()
    assert train(tmp_path / "run", "GAP", steps=16, patience=2)["test"] == result["test"]
    assert len((tmp_path / "run/log.csv").read_text().splitlines()) == 4
