import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gsp_tf.commands.evaluate import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copied(trained_job, tmp_path):
    """The trained job, in a folder that a test may change."""
    shutil.copytree(trained_job, tmp_path / "run")
    return tmp_path / "run"


def evaluate(*arguments):
    return main([str(argument) for argument in arguments])


def assert_one_error(capsys, status, *parts):
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert status == 2 and len(lines) == 1 and lines[0].startswith("error: "), printed.err
    for part in parts:
        assert part in lines[0], lines[0]


def test_a_job_measured_again_gives_its_table(capsys, trained_job):
    assert evaluate(trained_job, "--format", "markdown") == 0
    assert capsys.readouterr().out == (trained_job / "table.md").read_text()


def test_a_method_and_a_run(capsys, trained_job):
    rows = (trained_job / "table.md").read_text().splitlines()
    assert evaluate(trained_job, "--method", "GSP+ZSR", "--format", "markdown") == 0
    assert capsys.readouterr().out.splitlines() == [*rows[:2], rows[3]]
    assert evaluate(trained_job / "GAP" / "seed_0") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["GAP", "1", rows[2].split(" | ")[2]]


def test_a_swapped_model_is_noticed(capsys, copied):
    shutil.copy(copied / "GSP+ZSR/seed_0/model.keras", copied / "GAP/seed_0/model.keras")
    assert_one_error(capsys, evaluate(copied), "GAP/seed_0: ", "from model.keras and", "in result.json",
                     "one of the two files was changed")


def test_an_export_is_of_the_method_and_may_be_repeated(capsys, copied):
    for _ in range(2):
        assert evaluate(copied, "--method", "GAP", "--export", copied / "served") == 0
        assert "exported GAP seed 0 (best validation MAP@R, " in capsys.readouterr().out
        assert (copied / "served/saved_model.pb").exists()


def test_an_export_is_of_the_best_validation_score(monkeypatch, capsys, copied):
    exported = []
    monkeypatch.setattr("gsp_tf.commands.evaluate.export_saved_model", lambda *given: exported.append(given) or ["x"])
    for best, other in (("GAP", "GSP+ZSR"), ("GSP+ZSR", "GAP")):
        for method, score in ((best, 0.9), (other, 0.2)):
            path = copied / method / "seed_0" / "result.json"
            result = json.loads(path.read_text())
            # The best on the test images would be chosen on what it is judged by.
            path.write_text(json.dumps({**result, "validation": {"MAP@R": score, "P@1": 0.5}}))
        assert evaluate(copied, "--export", copied / "served") == 0
        assert f"exported {best} seed 0 (best validation MAP@R, 90.00 %)" in capsys.readouterr().out
        assert ("weights" in exported[-1][0].output) == (best == "GSP+ZSR")


def test_mistakes_are_one_line(capsys, copied, tmp_path):
    assert_one_error(capsys, evaluate(tmp_path / "nowhere"), "nowhere does not exist: give a folder")
    assert_one_error(capsys, evaluate(copied, "--method", "GPS"), "--method must be one of GAP, GSP+ZSR; got 'GPS'")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    for path in (tmp_path / "mine", tmp_path / "mine/thesis.txt"):
        assert_one_error(capsys, evaluate(copied, "--export", path), "exists and is no SavedModel: give another")
    (copied / "GAP/seed_0/model.keras").write_bytes(b"PK\3\4")
    assert_one_error(capsys, evaluate(copied), "model.keras cannot be loaded", "train the run again")
    (copied / "GAP/seed_0/config.yaml").unlink()
    assert_one_error(capsys, evaluate(copied), "GAP/seed_0/config.yaml cannot be read")
    for method in ("GAP", "GSP+ZSR"):
        (copied / method / "seed_0/result.json").unlink()
    assert_one_error(capsys, evaluate(copied), "holds no finished run")


def test_an_export_that_cannot_be_written_is_one_line(capsys, copied, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    status = evaluate(copied / "GAP", "--export", tmp_path / "file" / "served")
    assert_one_error(capsys, status, "--export", "cannot be written", "give another directory")


def test_the_script_exits_with_the_status(tmp_path):
    process = subprocess.run(
        [sys.executable, "evaluate.py", str(tmp_path)], cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True, text=True, check=False, timeout=120,
    )
    assert process.returncode == 2 and "Traceback" not in process.stderr
    assert process.stderr.splitlines()[-1].startswith(f"error: {tmp_path} holds no finished run")


def test_a_report_is_one_page(capsys, copied, tmp_path):
    assert evaluate(copied, "--report", tmp_path / "page.html") == 0
    assert f"wrote {tmp_path / 'page.html'}" in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "GSP+ZSR" in page
    assert_one_error(capsys, evaluate(copied, "--report", tmp_path), "is a folder: give the name of an HTML file")


def test_arguments_that_do_not_go_together(capsys, copied):
    assert_one_error(capsys, evaluate(), "give either RUN or --compare A B")
    assert_one_error(capsys, evaluate(copied, "--compare", copied, copied), "give either RUN or --compare A B")
    assert_one_error(capsys, evaluate("--compare", copied, copied, "--paper"), "--compare prints differences alone")


def test_two_jobs_side_by_side(capsys, copied):
    assert evaluate("--compare", copied / "GSP+ZSR", copied / "GAP") == 0
    head, row, *_ = capsys.readouterr().out.splitlines()
    results = [json.loads((copied / method / "seed_0/result.json").read_text()) for method in ("GSP+ZSR", "GAP")]
    difference = 100 * (results[0]["test"]["MAP@R"] - results[1]["test"]["MAP@R"])
    assert head.split()[-2:] == ["difference", "p"] and f"{difference:+.2f}" in row and "GSP+ZSR − GAP" in row
