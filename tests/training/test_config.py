from pathlib import Path

import pytest

from gsp_tf.errors import UserError
from gsp_tf.training.config import as_plain, parse_run
from gsp_tf.training.job_config import load_job
from tests.tiny_job import GSP, METHODS, job_values, run_values, write_yaml

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# The others are what these stand on, and studies, which name jobs.
JOBS = sorted(path for path in CONFIGS.rglob("*.yaml")
              if "studies" not in path.parts and "# Command:  none" not in path.read_text(encoding="utf-8"))
SEEDS = {"table": 5, "losses": 3, "bake_off": 3, "fair": 3}


def load(folder, overrides=(), seeds=None, **changes):
    return load_job(write_yaml(folder / "job.yaml", job_values(**changes)), overrides, seeds)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_config_loads_and_says_what_it_is(path):
    job = load_job(path)
    command, expected, source = path.read_text(encoding="utf-8").splitlines()[:3]
    assert path.relative_to(CONFIGS.parent).as_posix() in command or command.startswith("# Command:  python train.py  ")
    assert expected.startswith("# Expected: ") and source.startswith("# Source:   ")
    if path.parent.name.startswith("digits"):
        assert len(job.seeds) == SEEDS.get(path.stem, 1)
        assert path.stem in ("losses", "bake_off", "fair") or {"GAP", "GMP", "GSP", "GSP+ZSR", "GMP+GSP"} <= set(job.methods)


def test_names_of_configs_and_so_their_folders_are_different():
    names = [load_job(path).name for path in JOBS]
    assert len(set(names)) == len(names) == len(JOBS) > 8


def test_methods_differ_from_each_other_only_where_they_say_so():
    job = load_job(CONFIGS / "digits_mixture/default.yaml")
    plain = {name: as_plain(config) for name, config in job.methods.items()}
    for values in plain.values():
        values["model"].pop("pooling")
        values.pop("regularizer")
    assert all(values == plain["GAP"] for values in plain.values())


def test_shared_values_hold_for_all_methods_and_their_own_go_over_them(tmp_path):
    methods = {**METHODS, "slow": {**METHODS["GAP"], "training": {"optimizer": {"name": "SGD"}, "steps": 8}}}
    job = load(tmp_path, methods=methods)
    assert job.methods["GAP"].training.optimizer.arguments == {"learning_rate": 0.001}
    assert job.methods["slow"].training.optimizer.arguments == {}
    assert job.methods["slow"].training.steps == 8 and job.methods["slow"].training.evaluate_every == 4
    assert job.methods["GSP+ZSR"].model.pooling.arguments == {key: GSP[key] for key in GSP if key != "name"}
    assert job.methods["GAP"].regularizer is None


def test_a_base_without_methods_keeps_its_values_under_another_name(tmp_path):
    values = job_values()
    methods = values.pop("methods")
    write_yaml(tmp_path / "common.yaml", values)
    write_yaml(tmp_path / "job.yaml", {"base": "common.yaml", "name": "derived", "methods": methods})
    job = load_job(tmp_path / "job.yaml")
    assert job.name == "derived" and job.methods["GAP"].training.steps == 12


def test_of_several_bases_each_goes_over_those_before_it(tmp_path):
    write_yaml(tmp_path / "first.yaml", job_values(seeds=[1]))
    write_yaml(tmp_path / "second.yaml", {"seeds": [2], "training": {"steps": 24}})
    job = load_job(write_yaml(tmp_path / "job.yaml", {"base": ["first.yaml", "second.yaml"], "name": "derived"}))
    assert (job.name, job.seeds, job.methods["GAP"].training.steps) == ("derived", [2], 24)
    assert job.methods["GAP"].training.classes_per_batch == 4


def test_methods_that_are_kept(tmp_path):
    assert list(load(tmp_path, keep=["GSP+ZSR"]).methods) == ["GSP+ZSR"]
    with pytest.raises(UserError, match=r"keep must be of GAP, GSP\+ZSR; got 'GSP\+Z'; nearest: GSP\+ZSR"):
        load(tmp_path, keep=["GSP+Z"])
    with pytest.raises(UserError, match="keep must be a list of at least one method's name; got 'GAP'"):
        load(tmp_path, keep="GAP")


def test_plain_values_make_the_same_config_again():
    config = parse_run(run_values("GSP+ZSR", patience=3), "here")
    assert parse_run(as_plain(config), "here") == config


def test_overrides_and_seeds(tmp_path):
    job = load(tmp_path, ["training.steps=8", "methods.GSP+ZSR.model.pooling.mu=0.5"], seeds=[7])
    assert job.seeds == [7]
    assert {config.training.steps for config in job.methods.values()} == {8}
    assert job.methods["GSP+ZSR"].model.pooling.arguments["mu"] == 0.5


def test_an_override_may_add_a_method(tmp_path):
    job = load(tmp_path, ["methods.GMP.model.pooling.name=GMPPooling"])
    assert list(job.methods) == ["GAP", "GSP+ZSR", "GMP"]


@pytest.mark.parametrize(
    "overrides, message",
    [
        # unknown keys
        (["trainin.steps=3"], "trainin is not a key; the nearest valid key is training"),
        (["training.step=3"], "training.step is not a key; the nearest valid key is training.steps"),
        (["methods.GAP.training.step=3"],
         "methods.GAP.training.step is not a key; the nearest valid key is methods.GAP.training.steps"),
        (["methods.GAP.modle=3"], "methods.GAP.modle is not a key; the nearest valid key is methods.GAP.model"),
        (["prototypes.warmup=3"], "prototypes.warmup is not a key; the nearest valid key is prototypes.warmup_steps"),
        # wrong types
        (["training.steps='12'"], "training.steps: Input should be a valid integer; got '12'"),
        (["training.steps=12.0"], "training.steps: Input should be a valid integer; got 12.0"),
        (["training.steps=true"], "training.steps: Input should be a valid integer; got True"),
        (["methods.GAP.training.steps=x"], "methods.GAP.training.steps: Input should be a valid integer; got 'x'"),
        (["data=digits_mixture"], "data: "),
        (["methods.GAP.model.pooling=[1]"], "methods.GAP.model.pooling: "),
        (["data.name=3"], "data.name: Input should be a valid string; got 3"),
        (["methods=3"], "methods must map at least one method's name to its values; got 3"),
        (["methods={}"], "methods must map at least one method's name to its values; got {}"),
        (["methods.GAP=null"], "methods.GAP must be a mapping; got None"),
        (["seeds=0"], "seeds: Input should be a valid list; got 0"),
        # missing
        (["methods.GAP.model.pooling=null"], "methods.GAP.model.pooling: "),
        (["methods.X.loss.name=ContrastiveLoss"], "methods.X.model.pooling is missing: add it"),
        (["methods.X.model.pooling.mu=1"], "methods.X.model.pooling.name is missing: add it"),
        # out of range
        (["training.steps=0"], "training.steps: Input should be greater than or equal to 1; got 0"),
        (["training.steps=10"], "training: steps must be a multiple of evaluate_every=4; got 10"),
        (["training.samples_per_class=0"], "training.samples_per_class: Input should be greater than or equal to 1"),
        (["training.precision=float16"], "training.precision: Input should be 'float32', 'mixed_float16' or"),
        (["prototypes.initializer=kmeans"], "prototypes.initializer: Input should be 'k_center' or 'random'; got"),
        (["prototypes.warmup_steps=-1"], "prototypes.warmup_steps: Input should be greater than or equal to 0; got -1"),
        (["seeds=[]"], "seeds: List should have at least 1 item"),
        (["seeds=[0, -1]"], "seeds.1: Input should be greater than or equal to 0; got -1"),
        (["seeds=[3, 3]"], "seeds: seeds must be different; got [3, 3]"),
        (["name=../elsewhere"], "name: String should match pattern"),
        (["name=.."], "name: String should match pattern"),
        (["methods.a/b={model: {pooling: {name: GAPPooling}}}"], "methods.a/b.[key]: String should match pattern"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path, overrides, message):
    with pytest.raises(UserError) as caught:
        load(tmp_path, overrides)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'job.yaml'} with its overrides: {message}"), text
    assert "\n" not in text


def test_keys_that_are_no_text_are_named(tmp_path):
    (tmp_path / "a.yaml").write_text("1: 2\nmethods: {}", encoding="utf-8")
    with pytest.raises(UserError, match="a.yaml: 1 is not a key; the nearest valid key is "):
        load_job(tmp_path / "a.yaml")
    with pytest.raises(UserError, match=r"methods\.1.*should be a valid string; got 1"):
        load(tmp_path, methods={1: METHODS["GAP"]})
    with pytest.raises(UserError, match=r"job.yaml: data"):
        load(tmp_path, data={"name": "digits_mixture", 3: 4})


def test_a_missing_name_is_missing(tmp_path):
    values = job_values()
    del values["name"]
    with pytest.raises(UserError, match="job.yaml: name is missing: add it"):
        load_job(write_yaml(tmp_path / "job.yaml", values))


AXES = {
    "pooling": {"GAP": {"model": {"pooling": {"name": "GAPPooling"}}}, "GSP": {"model": {"pooling": GSP}}},
    "loss": {"C2": {}, "PNCA": {"loss": {"name": "ProxyNCALoss"}}},
}


def test_every_choice_of_the_axes_is_a_method(tmp_path):
    axes = {**AXES, "pooling": {**AXES["pooling"], "GMP": None}}
    job = load(tmp_path, axes=axes, methods={"GSP@PNCA": {"training": {"steps": 4}}, "own": AXES["pooling"]["GAP"]})
    assert list(job.methods) == ["GAP@C2", "GAP@PNCA", "GSP@C2", "GSP@PNCA", "own"]
    for method, config in job.methods.items():
        assert config.model.pooling.name == ("GSPLayer" if "GSP" in method else "GAPPooling")
        assert config.loss.name == ("ProxyNCALoss" if "PNCA" in method else "ContrastiveLoss")
        assert config.training.steps == (4 if method == "GSP@PNCA" else 12)


@pytest.mark.parametrize("axes, message", [
    ({}, "axes must map at least one axis to its options; got {}"),
    ({"pooling": {}}, "axes.pooling must map at least one option's name to its values; got {}"),
    ({"pooling": {"GAP": None}}, "axes.pooling must map at least one option's name to its values; got {}"),
    ({"pooling": {"GAP": 1}}, "axes.pooling.GAP must be a mapping; got 1"),
])
def test_axes_without_options(tmp_path, axes, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, axes=axes)


def test_some_methods_of_a_job(tmp_path):
    """The others may be anything."""
    axes = {**AXES, "loss": {**AXES["loss"], "broken": {"loss": 1}}}
    path = write_yaml(tmp_path / "job.yaml", job_values(axes=axes))
    assert list(load_job(path, only=["GSP@C2", "GAP@C2"]).methods) == ["GAP@C2", "GSP@C2"]
    with pytest.raises(UserError, match="--method must be of GAP@C2, .*; got 'GSP@C3'; nearest: GSP@C2"):
        load_job(path, only=["GSP@C3"])
