import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gsp_tf.errors import UserError
from gsp_tf.protocols import comparison, planned_runs
from gsp_tf.protocols.protocol import run_directory
from gsp_tf.protocols.results import find_results
from gsp_tf.protocols.summary import METRICS, summarize
from gsp_tf.training.job_config import load_job
from tests.tiny_job import job_values, write_yaml


def result(seed, score, seconds=10.0, method="GSP", config_hash="x"):
    test = {"MAP@R": score, "P@R": score / 2, "P@1": 1 - score, "R@8": 1.0}
    return {"method": method, "seed": seed, "test": test, "seconds": seconds, "config_hash": config_hash}


def write_results(directory, *results):
    for found in results:
        folder = run_directory(directory, found["method"], found["seed"])
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(found))


def test_seeds_are_the_outer_loop(tmp_path):
    job = load_job(write_yaml(tmp_path / "job.yaml", job_values(seeds=[3, 1])))
    runs = planned_runs(comparison(), job, tmp_path / "out")
    assert [(run.method, run.seed) for run in runs] == [("GAP", 3), ("GSP+ZSR", 3), ("GAP", 1), ("GSP+ZSR", 1)]
    assert runs[1].directory == tmp_path / "out" / "GSP+ZSR" / "seed_3"


def test_mean_and_sample_standard_deviation_by_hand():
    scores, seconds = [0.81, 0.84, 0.9], [10.0, 20.0, 60.0]
    found = [result(seed, score, time) for seed, (score, time) in enumerate(zip(scores, seconds, strict=True))]
    first, second = summarize({"GSP": found, "GAP": [result(0, 0.5)]})
    assert (first.method, first.seeds, first.seconds) == ("GSP", 3, 30.0)
    assert first.mean["MAP@R"] == pytest.approx(0.85) and first.mean["P@1"] == pytest.approx(0.15)
    # ((-0.04)² + (-0.01)² + 0.05²) / 2 = 0.0021
    assert first.std["MAP@R"] == pytest.approx(0.0021**0.5) and first.std["P@R"] == pytest.approx(0.0021**0.5 / 2)
    assert set(first.mean) == set(first.std) == set(METRICS)
    assert second.mean["MAP@R"] == 0.5 and second.std == dict.fromkeys(METRICS) and second.seeds == 1


def test_equal_results_have_no_spread(rng):
    score = float(rng.uniform())
    summary, = summarize({"GSP": [result(seed, score) for seed in range(5)]})
    assert summary.std["MAP@R"] == 0 and np.isclose(summary.mean["MAP@R"], score, rtol=1e-15)


def test_results_are_found_in_the_job_s_order_and_seeds_as_numbers(tmp_path):
    write_results(tmp_path, *(result(seed, 0.5, method=method) for seed in (10, 9, 0) for method in ("a", "b", "c")))
    write_yaml(tmp_path / "job.yaml", {"methods": {"c": {}, "a": {}}})
    found = find_results(tmp_path)
    assert list(found) == ["c", "a", "b"]
    assert [value["seed"] for _, value in found["a"]] == [0, 9, 10]
    assert [folder.name for folder, _ in found["a"]] == ["seed_0", "seed_9", "seed_10"]


def test_a_job_a_method_and_a_run_can_be_given(trained_job):
    assert list(find_results(trained_job)) == ["GAP", "GSP+ZSR"]
    assert list(find_results(trained_job / "GAP")) == ["GAP"]
    (folder, found), = find_results(trained_job / "GAP" / "seed_0")["GAP"]
    assert folder == trained_job / "GAP" / "seed_0" and found["seed"] == 0


def test_what_is_no_finished_run_is_a_user_error(tmp_path, trained_job):
    with pytest.raises(UserError, match="nowhere does not exist: give a folder that train.py wrote"):
        find_results(tmp_path / "nowhere")
    with pytest.raises(UserError, match="does not exist: give a folder"):
        find_results(trained_job / "job.yaml")
    with pytest.raises(UserError, match="holds no finished run: run train.py until it prints its table"):
        find_results(tmp_path)
    shutil.copytree(trained_job / "GAP", tmp_path / "GAP")
    (tmp_path / "GAP/seed_0/result.json").write_text("{")
    with pytest.raises(UserError, match="result.json cannot be read"):
        find_results(Path(tmp_path))


def test_runs_of_different_configs_have_no_common_mean(tmp_path):
    write_results(tmp_path / "one", result(0, 0.5))
    write_results(tmp_path / "two", result(0, 0.9, config_hash="y"))
    with pytest.raises(UserError, match="holds runs of GSP with different configs .*: give the folder of one job"):
        find_results(tmp_path)
