from pathlib import Path

import pytest
from tensorflow import keras

from gsp_tf.errors import UserError
from gsp_tf.training.build import build_dataset, build_embedder, build_learner, check_buildable
from gsp_tf.training.config import as_plain, parse_run
from gsp_tf.training.config_file import override
from gsp_tf.training.job_config import load_job
from tests.tiny_job import run_values

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
JOBS = sorted(CONFIGS.glob("digits_*/*.yaml"))


def distinct_runs():
    """Runs that have every data set with its batches, and every model with its loss, of the configs."""
    seen, runs = [], []
    for path in (path for path in JOBS if path.stem != "shared"):
        for method, config in load_job(path).methods.items():
            values = as_plain(config)
            rest = {key: value for key, value in values.items() if key not in ("data", "training")}
            new = [(values["data"], values["training"]), rest]
            if any(part not in seen for part in new):
                runs.append(pytest.param(config, id=f"{path.parent.name}/{path.stem}-{method}"))
            seen += new
    return runs


def run(method="GSP+ZSR", *overrides):
    values = run_values(method)
    for text in overrides:
        values = override(values, text)
    return parse_run(values, "here")


@pytest.mark.parametrize("config", distinct_runs())
def test_every_config_can_be_built(config):
    check_buildable(config)


@pytest.mark.parametrize(
    "overrides, message",
    [
        # names
        (["model.pooling={name: GPSLayer}"], "model.pooling.name must be one of GAPPooling, GMPPooling, GAPGMPPooling, .*"
         "GSPLayer; got 'GPSLayer'; nearest: GSPLayer"),
        (["loss.name=ContrastivLoss"], "loss.name must be one of .*; got 'ContrastivLoss'; nearest: ContrastiveLoss"),
        (["training.optimizer.name=adam"], "training.optimizer.name must be one of .*; got 'adam'; nearest: Adam$"),
        (["data.name=digits"], "data.name must be one of digits_mixture, digits_collage, .*; got 'digits'; nearest: "),
        (["model.backbone.name=resnet"], "model.backbone.name must be one of convnet, .*; got 'resnet'"),
        (["regularizer.name=ZSR"], "regularizer.name must be one of ZeroShotRegularizer; got 'ZSR'"),
        # arguments
        (["model.pooling.num_prototype=3"], "model.pooling.num_prototype is not an argument of GSPLayer; the nearest "
         "valid key is model.pooling.num_prototypes"),
        (["model.pooling={name: GAPPooling, mu: 1}"], "model.pooling.mu is not an argument of GAPPooling"),
        (["loss.margin=1"], "loss.margin is not an argument of ContrastiveLoss; the nearest .* is loss.*_margin"),
        (["training.optimizer.lr=1"], "training.optimizer.lr is not an argument of Adam; the nearest .* is training."),
        (["data.images=1"], "data.images is not an argument of digits_mixture; the nearest .* data.images_per_class"),
        (["regularizer.num_classes=1"], "regularizer.num_classes is not an argument of ZeroShotRegularizer"),
        (["data.part=test"], "data.part is not an argument of digits_mixture"),
        # values
        (["model.pooling.mu=1.5"], r"model.pooling: mu must be a number in \(0.*1.*\]; got 1.5"),
        (["model.pooling.epsilon=0"], r"model.pooling: epsilon must be a number in \(0.*; got 0"),
        (["model.pooling.reduce=mean"], "model.pooling: reduce must be one of 'sum', .*; got 'mean'"),
        (["model.pooling.num_prototypes=8.5"], "model.pooling: num_prototypes must be a whole number .*; got 8.5"),
        (["loss.pos_margin=-1"], "loss: pos_margin must be .*; got -1"),
        (["regularizer.weight=2"], "regularizer: weight must be .*; got 2"),
        (["data.background=[1]"], "data: background must be .* got \\[1\\]"),
        (["training.optimizer.learning_rate=fast"], "training.optimizer: .*learning_rate|training.optimizer: .*fast"),
        (["model.backbone.channels=[0]"], "model.backbone: "),
        # what fits each alone and not together
        (["training.classes_per_batch=23"], "training.classes_per_batch must be at most 22, the number of training "
         "classes of digits_mixture; got 23"),
        (["prototypes.num_features=7"], "prototypes.num_features must be at least .*num_prototypes=8; got 7"),
        (["prototypes.warmup_steps=12"], "prototypes.warmup_steps must be below training.steps=12, .*; got 12"),
        (["model.pooling={name: GMPPooling}"], "regularizer: ZeroShotRegularizer needs the histogram of a GSPLayer"),
    ],
)
def test_a_mistake_is_named_with_its_key(overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        check_buildable(run("GSP+ZSR", *overrides))
    assert "\n" not in str(caught.value)


def test_prototypes_do_not_matter_to_what_has_none():
    check_buildable(run("GAP", "prototypes.num_features=1", "prototypes.warmup_steps=1000"))
    check_buildable(run("GSP+ZSR", "prototypes={initializer: random, warmup_steps: 1000, num_features: 1}"))


def test_test_background_takes_the_place_of_background_on_the_test_part_only():
    config = run("GAP", "data.background=[0, 8]", "data.test_background=[9]")
    backgrounds = [build_dataset(config, part).background for part in ("train", "validation", "test")]
    assert backgrounds == [(0, 8), (0, 8), (9,)]


def test_an_embedder_tells_what_its_pooling_can():
    assert set(build_embedder(run("GAP"), (32, 32, 1)).output) == {"embedding"}
    output = build_embedder(run("GSP+ZSR"), (32, 32, 1)).output
    assert {name: tuple(value.shape) for name, value in output.items()} == {
        "embedding": (None, 8), "histogram": (None, 8), "weights": (None, 16, 16),
    }


def test_embeddings_are_float32_in_half_precision_too():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    output = build_embedder(run("GAP"), (32, 32, 1)).output["embedding"]
    assert "float32" in str(output.dtype)


def test_a_learner_has_every_variable_before_its_first_step():
    learner = build_learner(run("GSP+ZSR"), (32, 32, 1), 22)
    optimizer = learner.optimizer.variables
    optimizer = optimizer() if callable(optimizer) else optimizer
    assert len(optimizer) >= 2 * len(learner.trainable_variables) > 0
    assert any(tuple(variable.shape)[0:1] == (22,) for variable in learner.trainable_variables)
