"""Protocols from config to card: every run once, whatever happens on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import numpy as np
import pytest

from gsp_tf.commands.evaluate import main as evaluate
from gsp_tf.commands.train import main as train
from gsp_tf.metrics import retrieval_metrics
from gsp_tf.protocols.collections import collection_card
from gsp_tf.protocols.results import find_results
from gsp_tf.protocols.runner import duration
from gsp_tf.training.build import build_dataset
from gsp_tf.training.evaluation import embeddings_and_labels
from gsp_tf.training.run import KS, load_embedder, load_run
from tests.protocols.fair_job import fair_values
from tests.stacks import on_addons_stack
from tests.tiny_job import write_yaml

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_yaml(tmp_path_factory.mktemp("config") / "fair.yaml", fair_values())


@pytest.fixture(scope="module")
def job(config):
    """The folder of the complete protocol, trained without disturbance; tests only read it."""
    folder = config.parent / "run"
    assert train(["--config", str(config), "--out", str(folder)]) == 0
    return folder


def measured(folder):
    """All that a job's runs measured, and nothing of when."""
    found = {}
    for path in sorted(folder.rglob("result.json")):
        result = json.loads(path.read_text())
        found[path.parent.name] = {key: result[key] for key in ("seed", "validation", "test", "evaluations", "split_hash")}
        found[path.parent.name]["log"] = (path.parent / "log.csv").read_bytes()
    return found


def test_the_card_is_what_brute_force_gives(job):
    """Every one of the 81 collections, by concatenating its four embeddings."""
    card = json.loads((job / "GSP/card.json").read_text())
    gathered = {}
    for folder, _ in find_results(job)["GSP"]:
        found = embeddings_and_labels(load_embedder(folder), build_dataset(load_run(folder)[0], "test"))
        gathered[folder.name] = found["embeddings"]
        own = retrieval_metrics(found["embeddings"], found["labels"], ks=KS)
        run, = (run for run in card["runs"] if run["folder"] == folder.name)
        assert run["metrics"] == pytest.approx(own, abs=1e-6)
    assert len(card["collections"]) == 81 and card["dimensions"] == [8, 32]
    assert len({tuple(choice["repeats"]) for choice in card["collections"]}) == 81
    for choice in card["collections"]:
        names = [f"fold_{fold}_repeat_{repeat}" for fold, repeat in enumerate(choice["repeats"])]
        joined = np.concatenate([gathered[name] for name in names], axis=1)
        assert choice["concatenated"] == pytest.approx(retrieval_metrics(joined, found["labels"], ks=KS), abs=1e-9)
        own = [run["metrics"]["MAP@R"] for run in card["runs"] if run["folder"] in names]
        assert choice["single"]["MAP@R"] == pytest.approx(np.mean(own), abs=1e-12)


def test_the_table_has_mean_and_std_over_the_collections(job, capsys):
    assert evaluate([str(job), "--format", "csv"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split(",")[:5] == ["method", "over", "MAP@R 8-D", "P@R 8-D", "P@1 8-D"]
    collections = json.loads((job / "GSP/card.json").read_text())["collections"]
    scores = 100 * np.array([choice["concatenated"]["MAP@R"] for choice in collections])
    assert row.split(",")[1] == "81 collections"
    assert row.split(",")[5] == f"{scores.mean():.2f} ± {scores.std(ddof=1):.2f}"


def test_a_card_is_read_again_as_long_as_the_models_are_the_same(job, monkeypatch):
    monkeypatch.setattr("gsp_tf.protocols.collections.collection_metrics", None)
    runs = find_results(job)["GSP"]
    assert collection_card(runs) == json.loads((job / "GSP/card.json").read_text())
    with pytest.raises(TypeError):
        collection_card(runs[1:])


def test_one_run_for_a_cluster_s_array_job(config, tmp_path, capsys):
    only = ["--config", str(config), "--out", str(tmp_path), "--only"]
    assert train([*only, "fold=2,repeat=0"]) == 0
    assert [path.parent.name for path in tmp_path.rglob("result.json")] == ["fold_2_repeat_0"]
    assert "1 of 12 runs are finished" in capsys.readouterr().out
    assert evaluate([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "not every fold has a finished run yet, so there are no collections" in printed
    for wrong, said in (("fold=4", "names no run: fold is one of 0, 1, 2, 3"), ("folds=1", "--only takes fold=F"),
                        ("fold=x", "--only takes fold=F, repeat=R or both, whole numbers from 0; got 'fold=x'")):
        assert train([*only, wrong]) == 2 and said in capsys.readouterr().err


def test_a_run_that_another_process_trains_is_left_to_it(config, tmp_path, capsys):
    folder = tmp_path / "GSP/fold_1_repeat_0"
    folder.mkdir(parents=True)
    arguments = ["--config", str(config), "--out", str(tmp_path), "--only", "fold=1,repeat=0"]
    with filelock.FileLock(folder / ".lock"):
        assert train(arguments) == 0
        assert "GSP fold 1 repeat 0: another process is training it" in capsys.readouterr().out
        (tmp_path / "job.yaml").touch()
        assert train([*arguments, "--overwrite"]) == 2
        assert "fold_1_repeat_0 is being trained by another process: stop it first" in capsys.readouterr().err
    assert not (folder / "result.json").exists()


def checkpoints(folder):
    """What is saved, and when; a run saves twice."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("checkpoint.npz")}


@on_addons_stack
def test_ten_kills_change_nothing(config, job, tmp_path):
    """SIGKILL at random moments, then to the end: the same logs and metrics, byte for byte."""
    command = [sys.executable, "train.py", "--config", str(config), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    killed = 0
    while killed < KILLS:
        before = checkpoints(tmp_path / "run")
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # From the next checkpoint on, or now and then from any moment of the start.
        patience = random.uniform(0, 6) if killed % 5 == 0 else 120
        start = time.monotonic()
        while (time.monotonic() - start < patience and process.poll() is None
               and checkpoints(tmp_path / "run") == before):
            time.sleep(0.02)
        time.sleep(random.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the job ended before it could be killed"
        killed += 1
    assert train(command[2:]) == 0
    assert measured(tmp_path / "run") == measured(job)
    cards = [json.loads((folder / "GSP/card.json").read_text())["collections"] for folder in (tmp_path / "run", job)]
    assert cards[0] == cards[1]


def test_times_for_people():
    assert [duration(seconds) for seconds in (3, 400, 7190, 90000)] == ["3 s", "7 min", "2 h 0 min", "25 h 0 min"]
