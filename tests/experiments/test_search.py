import contextlib
import json
import re
import sys
import threading
import time

import filelock
import numpy as np
import pytest
import yaml

from gsp_tf.commands import evaluate
from gsp_tf.experiments.study_config import load_study
from gsp_tf.experiments.trials import designed_trials, trial_job
from tests.experiments.study_files import SCREENING, FakeTraining, bayesian, search, study_file


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A grid that was trained to its end."""
    folder = tmp_path_factory.mktemp("grid")
    assert search(study_file(folder, baseline="GAP"), folder / "run") == 0
    return folder


def test_a_grid_is_trained_on_classes_that_are_not_the_tests(trained):
    found = {path.parents[1].name: json.loads(path.read_text()) for path in (trained / "run").rglob("result.json")}
    assert set(found) == {"GAP@baseline", "GSP@mu=0.3", "GSP@mu=0.7"}
    for name, result in found.items():
        assert result["measured_on"] == "validation" and "test" not in result and result["steps"] == 4
        assert result["protocol"] == "tuning" and result["method"] == name
    assert found["GSP@mu=0.7"]["config"]["model"]["pooling"]["mu"] == 0.7
    assert {path.name for path in (trained / "run").iterdir()} == {*found, "job.yaml", "study.yaml", "study.md", "study.png"}
    rows = [line.split(" | ") for line in (trained / "run/study.md").read_text().splitlines() if line.startswith("| G")]
    scores = {row[0].removeprefix("| ") + row[1]: float(row[2]) for row in rows}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert scores["GSP0.7"] == pytest.approx(100 * found["GSP@mu=0.7"]["validation"]["MAP@R"], abs=0.005)
    assert scores["GAP (baseline)–"] == pytest.approx(100 * found["GAP@baseline"]["validation"]["MAP@R"], abs=0.005)


def test_a_second_start_and_plot_train_nothing_and_give_the_same(trained, monkeypatch, capsys):
    monkeypatch.setattr("gsp_tf.training.run._train", None)
    before = (trained / "run/study.md").read_text()
    assert search(trained / "study.yaml", trained / "run") == 0
    printed = capsys.readouterr().out
    assert len(re.findall("finished earlier", printed)) == 3 and "to compare settings only" in printed
    (trained / "run/study.png").unlink()
    assert search(trained / "study.yaml", trained / "run", "--plot") == 0
    assert "run 1 of" not in capsys.readouterr().out
    assert (trained / "run/study.md").read_text() == before
    assert (trained / "run/study.png").read_bytes().startswith(b"\x89PNG")


def test_other_settings_do_not_go_into_the_same_folder(trained, capsys):
    assert search(trained / "study.yaml", trained / "run", "--override", "training.samples_per_class=3") == 2
    assert "holds a run of another config (training.samples_per_class: 2 there, 3 here)" in capsys.readouterr().err
    assert search(trained / "job.yaml", trained / "run", "--plot") == 2


def test_evaluate_reads_the_folder(trained, capsys):
    assert evaluate.main([str(trained / "run")]) == 0
    assert "GSP@mu=0.3" in capsys.readouterr().out


def test_a_bayesian_study_of_real_runs(tmp_path):
    path = bayesian(tmp_path, trials=2)
    assert search(path, tmp_path / "run") == 0
    results = [json.loads(found.read_text()) for found in (tmp_path / "run").rglob("result.json")]
    assert len(results) == 2
    for result in results:
        weight = result["config"]["regularizer"]["weight"]
        assert result["method"] == f"Z@weight={weight:.12g}" and 1e-6 <= weight <= 1
        assert float(f"{weight:.4g}") == weight
    assert (tmp_path / "run/study.png").exists()


@pytest.mark.parametrize("sampler, trials, nearest", [("tpe", 30, 1.0), ("gp", 16, 0.1)])
def test_a_bayesian_search_finds_what_is_good(tmp_path, monkeypatch, capsys, sampler, trials, nearest):
    if sampler == "gp":
        pytest.importorskip("torch")
    FakeTraining(monkeypatch)
    assert search(bayesian(tmp_path, trials, sampler=sampler), tmp_path / "run") == 0
    weights = [float(text) for text in re.findall(r"trial \d+ of \d+: Z@weight=(\S+)", capsys.readouterr().out)]
    # In powers of ten from the best; ten trials are random, and of random ones the median is 1.5.
    distances = np.abs(np.log10(weights) + 3)
    assert len(weights) == trials and np.median(distances[10:]) < nearest


def test_a_killed_search_goes_through_the_same_trials(tmp_path, monkeypatch, capsys):
    job = {"seeds": [0, 1]}
    (tmp_path / "job").mkdir()
    path = bayesian(tmp_path / "job", 14, job, method={"Z": "GSP+ZSR", "Y": "GSP+ZSR"}, baseline="GAP", seed=3)
    whole = FakeTraining(monkeypatch)
    assert search(path, tmp_path / "whole") == 0
    first = FakeTraining(monkeypatch, killed_at=31)
    assert search(path, tmp_path / "run") == 130
    assert "the same command goes on" in capsys.readouterr().err
    second = FakeTraining(monkeypatch)
    assert search(path, tmp_path / "run") == 0
    assert first.trained + second.trained == whole.trained and len(whole.trained) == 2 * (1 + 2 * 14)
    assert (tmp_path / "run/study.md").read_text() == (tmp_path / "whole/study.md").read_text()
    # Both methods have a search of their own, here with the same scores.
    assert [name[1:] for name in whole.trained if name[0] == "Z"] == [name[1:] for name in whole.trained if name[0] == "Y"]


def test_more_trials_go_on_where_fewer_ended_and_another_seed_does_not(tmp_path, monkeypatch):
    path = bayesian(tmp_path, 12)
    fake = FakeTraining(monkeypatch)
    assert search(path, tmp_path / "run") == 0
    few = list(fake.trained)
    assert search(path, tmp_path / "run", "--override", "study.trials=15") == 0
    assert fake.trained[:12] == few and len(fake.trained) == 15
    fake.trained.clear()
    assert search(path, tmp_path / "other", "--override", "study.seed=1") == 0
    assert not set(fake.trained) & set(few)


def test_a_killed_grid_shows_what_is_finished_and_goes_on(tmp_path, monkeypatch, capsys):
    path = study_file(tmp_path, {"seeds": [0, 1]})
    first = FakeTraining(monkeypatch, killed_at=3)
    assert search(path, tmp_path / "run") == 130
    assert search(path, tmp_path / "run", "--plot") == 0
    printed = capsys.readouterr().out
    assert "not finished: GSP@mu=0.7\n" in printed and "50.50 ± 0.71" in printed
    second = FakeTraining(monkeypatch)
    assert search(path, tmp_path / "run") == 0
    assert first.trained == ["GSP@mu=0.3 0", "GSP@mu=0.7 0", "GSP@mu=0.3 1"] and second.trained == ["GSP@mu=0.7 1"]
    assert "not finished" not in capsys.readouterr().out


def test_a_run_of_another_process_is_waited_for_and_taken_over_when_that_is_killed(tmp_path, monkeypatch, capsys):
    path = study_file(tmp_path)
    fake = FakeTraining(monkeypatch)
    folders = [tmp_path / f"run/GSP@mu={value}/fold_0_repeat_0" for value in ("0.3", "0.7")]
    study, job = load_study(path)

    locked = threading.Event()

    def other_process():
        """It finishes the first run, and is killed in the second."""
        with contextlib.ExitStack() as stack:
            for folder in folders:
                folder.mkdir(parents=True)
                stack.enter_context(filelock.FileLock(folder / ".lock"))
            locked.set()
            time.sleep(0.5)
            config = trial_job(designed_trials(study), study, job).methods["GSP@mu=0.3"]
            described = {"method": "GSP@mu=0.3", "protocol": "tuning", "fold": 0, "repeat": 0}
            fake(config, 0, folders[0], None, described, "validation", None)

    other = threading.Thread(target=other_process)
    other.start()
    locked.wait(10)
    assert search(path, tmp_path / "run") == 0
    other.join()
    assert fake.trained == ["GSP@mu=0.3 0", "GSP@mu=0.7 0"]
    assert "another process is training it" in capsys.readouterr().out


def test_a_screening_with_its_effects_beside_the_published_ones(tmp_path, monkeypatch, capsys):
    path = study_file(tmp_path, method={"C2": "GSP+ZSR"}, design="fractional_factorial", parameters=SCREENING,
                      generators={"lambda": "m*mu*epsilon"}, published={"tables": ["5.4"], "dataset": "CUB"})
    fake = FakeTraining(monkeypatch)
    assert search(path, tmp_path / "run", "--paper") == 0
    printed = capsys.readouterr().out
    assert len(fake.trained) == 8
    # The fake scores depend on lambda alone: 0.02 ((lg 0.1 + 3)² − (lg 0.5 + 3)²).
    effect = 2 * ((np.log10(0.1) + 3) ** 2 - (np.log10(0.5) + 3) ** 2)
    effects = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if re.match(r"(m|mu|epsilon|lambda) ", line)}
    expected = {"m": (0, -0.25), "mu": (0, -0.405), "epsilon": (0, -2.785), "lambda": (effect, -1.83)}
    assert list(effects) == list(expected)
    for name, pair in expected.items():
        assert [float(text) for text in effects[name]] == pytest.approx(pair, abs=0.0051)
    row, = [line for line in printed.splitlines() if re.match(r"C2 +128 +0\.7 +20 +0\.5 ", line)]
    assert row.endswith(" 35.36")
    assert "resolution IV: main effects are mixed with interactions of three or more factors only" in printed
    assert yaml.safe_load((tmp_path / "run/job.yaml").read_text())["published"]["dataset"] == "CUB"


def test_overwrite_begins_anew_and_only_in_a_studys_folder(tmp_path, monkeypatch, capsys):
    path = study_file(tmp_path)
    fake = FakeTraining(monkeypatch)
    for _ in range(2):
        assert search(path, tmp_path / "run", "--overwrite") == 0
    assert len(fake.trained) == 4
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("mine")
    assert search(path, tmp_path / "other", "--overwrite") == 2
    assert "is not the folder of a study" in capsys.readouterr().err and (tmp_path / "other/mine.txt").exists()


def test_what_is_not_installed_is_named_with_its_command(tmp_path, monkeypatch, capsys):
    FakeTraining(monkeypatch)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert search(bayesian(tmp_path, sampler="gp"), tmp_path / "run") == 2
    assert 'sampler: gp needs torch: pip install "gsp_tf[search,torch]"' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search(bayesian(tmp_path), tmp_path / "run") == 2
    assert 'design: bayesian needs Optuna: pip install "gsp_tf[search]"' in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
