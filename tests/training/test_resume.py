"""Forty steps end in the same bits whether or not a kill lies in their middle, whatever the loss remembers."""

import contextlib
import csv
import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.data import training_batches
from gsp_tf.ops.replicas import as_array
from gsp_tf.training.build import build_dataset, build_learner
from gsp_tf.training.config import parse_run
from gsp_tf.training.distribution import build_strategy
from gsp_tf.training.learner import MetricLearner
from gsp_tf.training.run import train_run
from gsp_tf.training.training_state import TrainingState
from tests.tiny_job import run_values
from tests.training.loss_cases import CASES
from tests.training.test_run import Killed, assert_same_run, kill_after

STEPS, KILL, SEED, CLASSES_PER_BATCH, SAMPLES_PER_CLASS = 40, 20, 5, 4, 2
MEMORY_BATCHES = 12
# Full, and so in use, after 12 steps: overwritten before the kill, and by batches behind it alone in the end.
MEMORY = {"memory": {"size_in_batches": MEMORY_BATCHES, "start_after": 8}}
WITH_VARIABLES = (
    "proxies", "projections", "ProxyAnchorLoss", "SoftTripleLoss", "IntraBatchLoss", "GeneralizedContrastiveLoss"
)
RESUMED = {
    "memory": ("GAP", {**CASES["memory"], **MEMORY}),
    **{name: ("GAP", CASES[name]) for name in WITH_VARIABLES},
    "GSP+ZSR with memory": ("GSP+ZSR", MEMORY),
}
# With patience 1, problems end after the second, fifth and eighth of these epochs; the kill, after the fourth, lies
# between a problem's best weights and their return.
SCORES = [0.5, 0.4, 0.3, 0.35, 0.2, 0.1, 0.6, 0.2]


@pytest.fixture(autouse=True, scope="module")
def determinism():
    tf.config.experimental.enable_op_determinism()


def config_of(case):
    method, changes = RESUMED[case]
    # Problems end with epochs.
    evaluate_every = STEPS // len(SCORES) if case == "projections" else KILL
    values = run_values(method, steps=STEPS, evaluate_every=evaluate_every, classes_per_batch=CLASSES_PER_BATCH,
                        samples_per_class=SAMPLES_PER_CLASS)
    return parse_run({**values, **changes}, case)


def train(monkeypatch, case, directory, done=0, kill=False):
    """Train on from ``done`` steps, to the end or the kill; returns the labels of every batch that the loss saw."""
    config, seen = config_of(case), []
    batch_losses = MetricLearner.batch_losses

    def recording(self, outputs, labels, training):
        tf.numpy_function(lambda batch: seen.append(batch.tolist()), [labels], [])
        return batch_losses(self, outputs, labels, training)

    with monkeypatch.context() as patch:
        patch.setattr(MetricLearner, "batch_losses", recording)
        if case == "projections":
            # Behind the evaluations comes that of the test images.
            scores = itertools.chain(SCORES[done // config.training.evaluate_every:], itertools.repeat(0.5))
            patch.setattr("gsp_tf.training.evaluation.retrieval_metrics",
                          lambda *_, **__: {"MAP@R": next(scores), "P@1": 0.5})
        if kill:
            kill_after(patch, KILL // config.training.evaluate_every)
        with pytest.raises(Killed) if kill else contextlib.nullcontext():
            train_run(config, SEED, directory, build_strategy("one_device"), {"method": case})
    return seen


def restored_loss(case, directory):
    """The loss of a run's checkpoint, and the values of its variables."""
    config = config_of(case)
    dataset = build_dataset(config, "train")
    learner = build_learner(config, dataset.image_shape, dataset.num_classes)
    TrainingState(directory, config.training.evaluate_every).restore(learner)
    return learner.batch_loss, [as_array(value) for layer in learner.loss_layers for value in layer.weights]


def assert_same_checkpoint(directory, other):
    with np.load(directory / "checkpoint.npz") as found, np.load(other / "checkpoint.npz") as wanted:
        assert found.files == wanted.files
        assert {name.partition("/")[0] for name in found.files} == {"state", "learner", "optimizer", "best"}
        states = [json.loads(str(file["state"])) for file in (found, wanted)]
        for name in set(found.files) - {"state"}:
            assert found[name].dtype == wanted[name].dtype and found[name].shape == wanted[name].shape, name
            assert found[name].tobytes() == wanted[name].tobytes(), name
    for state in states:
        assert state.pop("seconds") > 0
    assert states[0] == states[1]


def expected_labels(case):
    """The labels of the batches of all steps, as lists."""
    dataset = build_dataset(config_of(case), "train")
    batches = training_batches(dataset, CLASSES_PER_BATCH, SAMPLES_PER_CLASS, SEED)
    return [labels.tolist() for _, labels in itertools.islice(batches, STEPS)]


def assert_holds_batches_before(step, memory, labels):
    """The memory is full of the last batches before a step, in their order."""
    size = CLASSES_PER_BATCH * SAMPLES_PER_CLASS
    assert int(memory.pointer) == step * size % memory.capacity
    assert (int(memory.count), int(memory.steps)) == (memory.capacity, step)
    oldest_first = np.roll(as_array(memory.labels), -int(memory.pointer))
    assert oldest_first.reshape(-1, size).tolist() == labels[step - MEMORY_BATCHES:step]


@pytest.mark.parametrize("case", RESUMED)
def test_forty_steps_are_twenty_a_kill_and_twenty(case, monkeypatch, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    labels = train(monkeypatch, case, whole)
    assert labels == expected_labels(case)
    assert train(monkeypatch, case, parts, kill=True) == labels[:KILL]
    assert not (parts / "result.json").exists()
    killed_loss, at_kill = restored_loss(case, parts)
    assert train(monkeypatch, case, parts, done=KILL) == labels[KILL:]
    assert_same_run(parts, whole)
    assert_same_checkpoint(parts, whole)
    # What the loss remembers went on moving behind the kill.
    loss, at_end = restored_loss(case, parts)
    assert any(not np.array_equal(old, new) for old, new in zip(at_kill, at_end, strict=True))
    if "memory" in case:
        assert_holds_batches_before(KILL, killed_loss, labels)
        assert_holds_batches_before(STEPS, loss, labels)
    if case == "projections":
        with open(parts / "log.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["projection"]) for row in rows] == [1, 1, 2, 2, 2, 3, 3, 3]
        assert [float(row["projection_steps"]) for row in rows] == [0, 10, 0, 0, 15, 0, 0, 15]
