import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from gsp_tf.commands.train import main
from tests.tiny_job import job_values, write_yaml

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture
def config(tmp_path):
    return write_yaml(tmp_path / "tiny.yaml", job_values())


@pytest.fixture
def copied(trained_job, tmp_path):
    """The trained job, in a folder that a test may change."""
    shutil.copytree(trained_job, tmp_path / "run")
    return tmp_path / "run"


def run(config, *arguments):
    return main(["--config", str(config), *map(str, arguments)])


def assert_one_error(capsys, status, *parts):
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if line]
    assert status == 2 and len(lines) == 1 and lines[0].startswith("error: "), printed.err
    for part in parts:
        assert part in lines[0]
    return printed


def test_a_job_ends_with_its_table_and_files(trained_job):
    assert {path.name for path in trained_job.iterdir()} == {
        "GAP", "GSP+ZSR", "job.yaml", "table.md", "results.json", "map_at_r.png", "weight_maps.png",
    }
    assert yaml.safe_load((trained_job / "job.yaml").read_text())["name"] == "tiny"
    assert (trained_job / "table.md").read_text().startswith("| method | seeds | test MAP@R |")


def test_a_second_start_trains_nothing_and_prints_the_same_table(monkeypatch, capsys, config, copied):
    monkeypatch.setattr("gsp_tf.training.run._train", None)
    before = (copied / "table.md").read_text()
    assert run(config, "--out", copied) == 0
    printed = capsys.readouterr().out
    assert "run 1 of 2: GAP seed 0: finished earlier\nrun 2 of 2: GSP+ZSR seed 0: finished earlier\n" in printed
    assert "test MAP@R" in printed and f"wrote {copied / 'map_at_r.png'}" in printed
    assert f"next: python evaluate.py {copied} --export " in printed
    assert (copied / "table.md").read_text() == before


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["--override", "training.step=3"], ["tiny.yaml", "training.step is not a key", "training.steps"]),
        (["--override", "training.steps"], ["--override takes key=value"]),
        (["--override", "training.steps='3'"], ["training.steps", "integer", "'3'"]),
        (["--seed", "-1"], ["seeds.0", "greater than or equal to 0", "-1"]),
        (["--override", "methods.GAP.model.pooling.mu=1"], ["method GAP: model.pooling.mu is not an argument of GAPP"]),
        (["--override", "methods.GSP+ZSR.model.pooling.mu=1.5"], ["method GSP+ZSR: model.pooling: mu must be"]),
        (["--strategy", "multi_worker"], ["--strategy multi_worker needs the environment variable TF_CONFIG"]),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(monkeypatch, capsys, config, tmp_path, arguments, parts):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert_one_error(capsys, run(config, "--out", tmp_path / "run", *arguments), *parts)
    assert not (tmp_path / "run").exists()


def test_a_missing_config_names_the_nearest(capsys, config):
    assert_one_error(capsys, run(config.with_name("tinny.yaml")), "tinny.yaml does not exist; nearest: ", "tiny.yaml")


def test_a_path_that_cannot_be_written_is_one_line(monkeypatch, capsys, config, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for out in ("file", "file/run"):
        assert_one_error(capsys, run(config, "--out", tmp_path / out), str(tmp_path / "file"), "check the path")


def test_a_folder_of_another_config_is_refused_and_kept(capsys, config, copied):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    status = run(config, "--out", copied, "--override", "training.steps=16")
    assert_one_error(capsys, status, "GAP/seed_0 holds a run of another config (training.steps: 12 there, 16 here)",
                     "--out", "--overwrite")
    # The second method alone differs: the first must not be trained before that is found.
    status = run(config, "--out", copied, "--override", "methods.GSP+ZSR.model.pooling.mu=0.4")
    assert_one_error(capsys, status, "GSP+ZSR/seed_0 holds", "(model.pooling.mu: 0.3 there, 0.4 here)")
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_overwrite_trains_anew_and_seed_takes_the_place_of_the_config_s(capsys, config, copied):
    (copied / "leftover.txt").write_text("from before")
    only_gap = ["--override", "methods={GAP: {model: {pooling: {name: GAPPooling}}}}"]
    assert run(config, "--out", copied, "--overwrite", "--seed", 5, *only_gap) == 0
    assert [path.name for path in copied.glob("*/seed_*")] == ["seed_5"] and not (copied / "leftover.txt").exists()
    assert "finished earlier" not in capsys.readouterr().out
    assert (copied / "GAP/seed_5/result.json").exists()


def test_overwrite_deletes_no_folder_of_others(capsys, config, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    assert_one_error(capsys, run(config, "--out", tmp_path / "mine", "--overwrite"), "mine is not a folder of train.py")
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


def test_a_diverging_job_is_one_line_below_its_bar(capsys, config, tmp_path):
    status = run(config, "--out", tmp_path / "run", "--override", "training.optimizer.learning_rate=1e30")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert status == 2 and len(lines) == 1 and "training diverged" in lines[0]


@pytest.mark.parametrize("arguments", [["--strategy", "two_devices"], ["--seed", "x"], ["--override"], ["--unknown"]])
def test_wrong_arguments_are_argparse_s(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "error: " in capsys.readouterr().err


def test_the_script_exits_with_the_status(tmp_path):
    process = subprocess.run([sys.executable, "train.py", "--config", "configs/digits_mixture/defalt.yaml"], cwd=ROOT,
                             env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 2 and "Traceback" not in process.stderr and process.stdout == ""
    assert process.stderr.splitlines()[-1] == (
        "error: config configs/digits_mixture/defalt.yaml does not exist; nearest: configs/digits_mixture/default.yaml"
    )


def test_ctrl_c_is_130_and_keeps_the_checkpoint(config, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "train.py", "--config", str(config), "--out", str(tmp_path / "run"), "--override",
         "training.steps=1000000"],
        cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    checkpoint = tmp_path / "run/GAP/seed_0/checkpoint.npz"
    deadline = time.monotonic() + 180
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors, errors[-2000:]
    assert errors.splitlines()[-1] == "stopped; the same command goes on from the last checkpoint"
    assert checkpoint.exists() and not (tmp_path / "run/GAP/seed_0/result.json").exists()
