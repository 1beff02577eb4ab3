import csv
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from gsp_tf.experiments.designs import fractional_factorial, grid, resolution
from gsp_tf.experiments.study_config import load_study
from gsp_tf.experiments.trials import Trial, designed_trials, trial_config, trial_job
from tests.experiments.study_files import MU, SCREENING, WEIGHT, bayesian, search, study_file
from tests.tiny_job import GSP

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "configs").glob("*/studies/*.yaml"))


def test_the_screening_of_cub_has_the_trials_of_table_5_4_and_no_others():
    study, job = load_study(ROOT / "configs/cub/studies/screening.yaml")
    table = resources.files("gsp_tf.protocols").joinpath("published/table_5_4.csv").read_text()
    published = {row["method"] for row in csv.DictReader(table.splitlines())}
    trials = designed_trials(study)
    assert {trial.name for trial in trials} == published and len(trials) == len(published) == 18
    config = trial_config(Trial("PNCA", {"m": 16, "mu": 0.7, "epsilon": 20.0, "lambda": 0.1}), study, job)
    pooling = config.model.pooling.arguments
    assert (pooling["num_prototypes"], pooling["mu"], pooling["epsilon"]) == (16, 0.7, 20.0)
    assert config.regularizer.arguments["weight"] == 0.1 and config.loss.name == "ProxyNCALoss"


@pytest.mark.parametrize("generators", [{"c": "a*b"}, {"c": "-a*b"}, {"c": "a*b", "d": "-a*b"}, {}])
def test_columns_of_a_factorial_design_are_balanced_and_their_signs_multiply(generators):
    names = ["a", "b", *generators] if generators else ["a", "b", "c"]
    rows = fractional_factorial({name: (-1, 1) for name in names}, generators)
    columns = {name: np.array([row[name] for row in rows]) for name in names}
    assert len(rows) == 2 ** (len(names) - len(generators))
    assert all(column.sum() == 0 for column in columns.values())
    for name, text in generators.items():
        sign = -1 if text.startswith("-") else 1
        np.testing.assert_array_equal(columns[name], sign * columns["a"] * columns["b"])


def test_resolution_of_a_design():
    assert resolution({}) == float("inf") and resolution({"c": ["a", "b"]}) == 3
    assert resolution({"d": ["a", "b"], "e": ["a", "c"]}) == 3
    assert resolution({"e": ["a", "b", "c"], "f": ["b", "c", "d"]}) == 4


def test_a_grid_keeps_the_choices_that_are_asked_for():
    values = {"a": [1, 2, 3], "b": [1, 2, 3]}
    assert len(grid(values)) == 9
    assert [tuple(point.values()) for point in grid(values, ["a < b", "b <= 2"][:1])] == [(1, 2), (1, 3), (2, 3)]
    with pytest.raises(ValueError, match="no choice of values is left"):
        grid(values, ["a > b", "b > a"])


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parents[1].name}/{path.stem}")
def test_every_study_loads_and_says_what_it_is(path):
    command, expected, source = path.read_text(encoding="utf-8").splitlines()[:3]
    assert command.startswith(f"# Command:  python -m gsp_tf.experiments.search {path.relative_to(ROOT).as_posix()}")
    assert expected.startswith("# Expected: ") and source.startswith("# Source:   ")
    study, job = load_study(path)
    assert job.protocol.name == "tuning"
    if study.design == "bayesian":
        trials = [Trial(label, {name: getattr(found, end) for name, found in study.parameters.items()})
                  for label in study.method for end in ("low", "high")]
    else:
        trials = designed_trials(study)
    made = trial_job(trials, study, job)
    assert len(made.methods) == len(trials) == len({config.model_dump_json() for config in made.methods.values()})
    # Proxies are picked from pools that hold enough.
    for config in made.methods.values():
        assert config.projections is None or config.projections.pool_size >= config.proxies.per_class


def test_names_of_studies_and_so_their_folders_are_different():
    assert len({load_study(path)[0].name for path in STUDIES}) == len(STUDIES) > 10


def test_a_value_may_set_several_keys_and_goes_over_the_methods_own(tmp_path):
    sizes = {8: {"training.classes_per_batch": 4, "training.samples_per_class": 2}, 16: {"training.classes_per_batch": 8}}
    path = study_file(tmp_path, method=["GSP", "GAP"], parameters={
        "batch": {"values": sizes}, "rate": {"key": ["training.optimizer.learning_rate", "loss.neg_margin"],
                                             "values": [0.1]}})
    study, job = load_study(path)
    trials = designed_trials(study)
    assert [trial.name for trial in trials] == ["GSP@batch=8,rate=0.1", "GAP@batch=8,rate=0.1", "GSP@batch=16,rate=0.1",
                                                "GAP@batch=16,rate=0.1"]
    configs = trial_job(trials, study, job).methods
    large = configs["GSP@batch=16,rate=0.1"]
    assert (large.training.classes_per_batch, large.training.samples_per_class) == (8, 2)
    assert large.training.optimizer.arguments["learning_rate"] == large.loss.arguments["neg_margin"] == 0.1
    assert large.model.pooling.arguments["mu"] == GSP["mu"]


def test_overrides_are_of_the_job_or_of_the_study(tmp_path):
    path = bayesian(tmp_path, override=["training.steps=8", "seeds=[1]"])
    study, job = load_study(path, ["training.steps=12", "study.trials=2"])
    assert study.trials == 2 and job.seeds == [1] and job.methods["GSP"].training.steps == 12


@pytest.mark.parametrize("changes, parts", [
    ({"parameters": {}}, ["parameters must map at least one name"]),
    ({"parameters": {"mu": 0.3}}, ["parameters.mu must be a mapping such as {key: model.pooling.mu", "got 0.3"]),
    ({"parameters": {"mu": {**MU, "vals": 1}}}, ["parameters.mu.vals is not a key", "parameters.mu.values"]),
    ({"parameters": {"a-b": MU}}, ["a name has letters, digits and _", "'a-b'"]),
    ({"parameters": {"mu": {"values": [1]}}}, ["parameters.mu: key must be a dotted key", "got None"]),
    ({"parameters": {"mu": {"key": "model..mu", "values": [1]}}}, ["parameters.mu: key must be a dotted key"]),
    ({"parameters": {"mu": {**MU, "values": [0.3, 0.3]}}}, ["values must be different"]),
    ({"parameters": {"mu": {**MU, "values": [[1]]}}}, ["a value becomes part of a folder's name", "got [1]"]),
    ({"parameters": {"mu": {**MU, "values": ["a/b"]}}}, ["a value becomes part of a folder's name", "'a/b'"]),
    ({"parameters": {"mu": {**MU, "values": 0.3}}}, ["values must be a list"]),
    ({"parameters": {"mu": {**MU, "low": 0.1}}}, ["design: grid takes values", "no range"]),
    ({"parameters": {"mu": {"values": {"a": 1}}}}, ["values must map each name to {key: value}"]),
    ({"parameters": {"mu": {"key": "x", "values": {"a": {"x": 1}}}}}, ["so remove key"]),
    ({"parameters": {"mu": {"key": "model.pooling.name.mu", "values": [1]}}},
     ["parameters.mu: model.pooling.name.mu: name holds the value 'GSPLayer' and has no keys below it"]),
    ({"parameters": {"mu": {"key": "model.poling.mu", "values": [1]}}},
     ["study tiny_study: GSP@mu=1: model.poling is not a key", "model.pooling"]),
    ({"parameters": {"mu": {"key": "model.pooling.muu", "values": [1]}}},
     ["study tiny_study: GSP@mu=1: model.pooling.muu is not an argument of GSPLayer", "model.pooling.mu"]),
    ({"parameters": {"steps": {"key": "training.steps", "values": [3]}}}, ["GSP@steps=3", "multiple of evaluate_every"]),
    ({"method": ["GAPP"]}, ["method must be of GAP, GSP+ZSR, GSP; got 'GAPP'; nearest: GAP"]),
    ({"baseline": "GMP"}, ["baseline must be of", "'GMP'"]),
    ({"method": []}, ["method must name at least one method of job.yaml"]),
    ({"method": [{"a": 1}]}, ["method", "dictionary"]),
    ({"method": None}, ["method is missing"]),
    ({"methods": "GSP"}, ["methods is not a key", "method"]),
    ({"design": "random"}, ["design", "grid"]),
    ({"trials": 3}, ["trials is for design: bayesian"]),
    ({"picture": "lines"}, ["picture is for two parameters"]),
    ({"where": ["mu is 3"]}, ["study.yaml: where: takes texts such as 'a >= b' of the parameters mu"]),
    ({"config": "jobb.yaml"}, ["jobb.yaml does not exist; nearest: ", "job.yaml"]),
    ({"job": {"protocol": {"name": "conventional"}}}, ["validates on test classes, which must not choose parameters"]),
    ({"design": "fractional_factorial", "parameters": {"mu": {**MU, "values": [1, 2, 3]}}}, ["two values", "[1, 2, 3]"]),
    ({"design": "fractional_factorial", "parameters": SCREENING, "generators": {"x": "m*mu"}},
     ["generators must be of m, mu, epsilon, lambda; got 'x'"]),
    ({"design": "fractional_factorial", "parameters": SCREENING, "generators": {"lambda": "m*lambda"}},
     ["generators.lambda must be a product, such as m*mu*epsilon or -m*mu*epsilon"]),
    ({"design": "fractional_factorial", "parameters": SCREENING, "generators": {"lambda": "-mu"}},
     ["two parameters would change together"]),
    ({"design": "bayesian"}, ["trials is missing"]),
    ({"design": "bayesian", "trials": 2}, ["parameters.mu: design: bayesian takes a range"]),
    ({"design": "bayesian", "trials": 2, "parameters": {"w": {**WEIGHT, "low": 0.0}}}, ["low must be above 0 for log"]),
    ({"design": "bayesian", "trials": 2, "parameters": {"w": {**WEIGHT, "low": 2.0}}}, ["low must be below high"]),
    ({"design": "bayesian", "trials": 2, "parameters": {"w": {**WEIGHT, "integer": True}}}, ["must be whole numbers"]),
    ({"design": "bayesian", "trials": 0, "parameters": {"w": WEIGHT}}, ["trials", "greater than or equal to 1"]),
    ({"published": {"tables": ["5.4"]}}, ["published.dataset is missing"]),
])
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, capsys, changes, parts):
    assert search(study_file(tmp_path, **changes), tmp_path / "run") == 2
    line, = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    for part in parts:
        assert part in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments, parts", [
    (["--paper"], ["--paper: ", "names no published table"]),
    (["--plot", "--overwrite"], ["--plot draws what --overwrite would delete"]),
    (["--plot"], ["run does not exist"]),
    (["--override", "study.trials"], ["--override takes key=value"]),
])
def test_options_that_do_not_fit(tmp_path, capsys, arguments, parts):
    assert search(study_file(tmp_path), tmp_path / "run", *arguments) == 2
    printed = capsys.readouterr().err
    assert all(part in printed for part in parts)
