"""A disk that is full, or takes no file of that size, is one line, and what was good before it stays so."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gsp_tf.commands.train import main
from tests.tiny_job import METHODS, job_values, write_yaml

ROOT = Path(__file__).resolve().parents[2]
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from gsp_tf.commands.train import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def arguments(tmp_path):
    config = write_yaml(tmp_path / "job.yaml", job_values(methods={"GAP": METHODS["GAP"]}))
    return ["--config", str(config), "--out", str(tmp_path / "run")]


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def assert_one_line(errors, name):
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "No space left on device" in lines[0] and name in lines[0]
    assert "check the path and the space on its disk" in lines[0]


def test_a_checkpoint_that_does_not_fit_leaves_the_last_one(arguments, tmp_path, monkeypatch, capsys, trained_job):
    write, epochs = np.lib.format.write_array, []

    def write_array(file, array, **options):
        epochs.extend([1] if array.dtype.kind == "U" else [])
        # The third checkpoint breaks off in the middle.
        (full if len(epochs) == 3 and array.ndim == 4 else write)(file, array, **options)

    with monkeypatch.context() as patch:
        patch.setattr("numpy.lib.format.write_array", write_array)
        assert main(arguments) == 2
    assert_one_line(capsys.readouterr().err, "run/GAP/seed_0/checkpoint.npz")
    folder = tmp_path / "run/GAP/seed_0"
    assert {path.name for path in folder.iterdir()} == {".lock", "config.yaml", "log.csv", "checkpoint.npz", "tensorboard"}
    with np.load(folder / "checkpoint.npz") as file:
        assert len(json.loads(str(file["state"]))["history"]) == 2
    assert main(arguments) == 0
    results = [json.loads((job / "GAP/seed_0/result.json").read_text()) for job in (tmp_path / "run", trained_job)]
    assert results[0]["test"] == results[1]["test"] and results[0]["evaluations"] == results[1]["evaluations"]


def test_a_model_that_does_not_fit_is_written_by_the_next_start(arguments, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr("tensorflow.keras.Model.save", full)
        assert main(arguments) == 2
    assert_one_line(capsys.readouterr().err, "run/GAP/seed_0/model.keras")
    folder = tmp_path / "run/GAP/seed_0"
    assert not (folder / "model.keras").exists() and not (folder / "result.json").exists()
    assert main(arguments) == 0 and (folder / "result.json").exists()


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="this system has no limit of file sizes")
def test_a_real_limit_of_the_system(arguments, tmp_path):
    """No stand-in: the operating system refuses to write the checkpoint."""
    process = subprocess.run(
        [sys.executable, "-c", LIMITED, "4000", *arguments], cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True, text=True, check=False, timeout=300,
    )
    assert process.returncode == 2 and "Traceback" not in process.stderr
    assert "File too large" in process.stderr and "checkpoint.npz" in process.stderr.splitlines()[-1]
    assert not list((tmp_path / "run").rglob(".partial*")) and not list((tmp_path / "run").rglob("checkpoint.npz"))
