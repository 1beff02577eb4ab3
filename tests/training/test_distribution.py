import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.data import DigitsMixture, training_batches
from gsp_tf.errors import UserError
from gsp_tf.training.distribution import build_strategy, distribute_batches, is_chief
from tests.training.distributed_steps import CLASSES_PER_BATCH, DISTRIBUTED, SAMPLES_PER_CLASS, SEED, STEPS

ROOT = Path(__file__).resolve().parents[2]


def start(name, replicas, out, **environment):
    command = [sys.executable, "-m", "tests.training.distributed_steps", name, str(replicas), str(out)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process):
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output.decode()[-3000:]


def run_logical_devices(replicas, folder):
    """What one process with some logical devices comes to."""
    name = "one_device" if replicas == 1 else "mirrored"
    finish(start(name, replicas, folder / "out.npz"))
    return [dict(np.load(folder / "out.npz"))]


def run_two_processes(folder):
    """What each of two processes comes to."""
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("localhost", 0))
    workers = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    processes = []
    for index in range(2):
        cluster = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        processes.append(start("multi_worker", 2, folder / f"{index}.npz", TF_CONFIG=cluster))
    for process in processes:
        finish(process)
    return [dict(np.load(folder / f"{index}.npz")) for index in range(2)]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return run_logical_devices(1, tmp_path_factory.mktemp("one_device"))[0]


@pytest.fixture(scope="module", params=["2 devices", "4 devices", "2 processes"])
def replicated(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicated")
    if request.param == "2 processes":
        return run_two_processes(folder)
    return run_logical_devices(int(request.param[0]), folder)


# What ends where it began: the bias of attention's keys, which softmax does not see; GSP's ratio after its warm-up; how
# long a problem has waited that has just begun.
STILL = {
    "IntraBatchLoss": ["loss/3"],
    "GSP+ZSR": ["embedder/13"],
    "GSP+ZSR with memory": ["embedder/13"],
    "projections": ["projection/15"],
}


def of_case(values, case):
    """The part of a case, without its name: history, variables before, variables after."""
    parts = {"history": {}, "before": {}, "after": {}}
    for key, value in values.items():
        name, part, rest = key.split("/", 2)
        if name == case:
            parts[part][rest] = value
    return parts["history"], parts["before"], parts["after"]


@pytest.mark.parametrize("case", DISTRIBUTED)
def test_replicas_give_the_one_device_result(case, replicated, one_device):
    history, before, after = of_case(one_device, case)
    for result in replicated:
        found_history, found_before, found_after = of_case(result, case)
        assert found_history.keys() == history.keys() and found_after.keys() == after.keys()
        for key in history:
            np.testing.assert_allclose(found_history[key], history[key], rtol=1e-5, err_msg=key)
        for key in after:
            np.testing.assert_array_equal(found_before[key], before[key], err_msg=key)
            if after[key].dtype.kind == "i":
                np.testing.assert_array_equal(found_after[key], after[key], err_msg=key)
                continue
            # Under SGD what a weight has moved is its gradients: they are compared, not what it was before.
            found, wanted = found_after[key] - found_before[key], after[key] - before[key]
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3 * np.abs(wanted).max() + 5e-7, err_msg=key)


@pytest.mark.parametrize("case", DISTRIBUTED)
def test_the_reference_trains(case, one_device):
    """What the others are compared with moves everywhere, by far more than the rounding that is let pass."""
    history, before, after = of_case(one_device, case)
    assert len(history["loss"]) == STEPS and np.all(np.isfinite(history["loss"]))
    still = [key for key in after if np.abs(after[key] - before[key]).max() < 2e-5]
    assert still == STILL.get(case, [])


@pytest.mark.parametrize("case, without", [("memory", "ContrastiveLoss"), ("GSP+ZSR with memory", "GSP+ZSR")])
def test_the_memory_of_the_reference_is_used_and_overwritten(case, without, one_device):
    history, _, after = of_case(one_device, case)
    plain, _, _ = of_case(one_device, without)
    np.testing.assert_array_equal(history["pair_loss"][:2], plain["pair_loss"][:2])
    assert history["pair_loss"][2] > 1.2 * plain["pair_loss"][2]
    batches = training_batches(DigitsMixture("train"), CLASSES_PER_BATCH, SAMPLES_PER_CLASS, seed=SEED)
    _, second, third = (labels for _, labels in itertools.islice(batches, 3))
    labels, *counts = (after[f"loss/{index}"] for index in range(1, 5))
    assert labels.tolist() == [*third, *second] and counts == [32, 64, 3]


def test_a_problem_of_the_reference_ends_within_the_run(one_device):
    history, _, _ = of_case(one_device, "projections")
    assert history["projection"].tolist() == [1, 1, 2] and history["projection_steps"].tolist() == [0, 2, 0]
    assert history["moved"][1] > 0 and history["radius_after"][1] < history["radius_before"][1]


def test_the_reference_is_regularised_and_evaluated(one_device):
    history, _, _ = of_case(one_device, "GSP+ZSR")
    assert np.all(history["zero_shot_loss"] > 0) and len(history["val_MAP@R"]) == STEPS


def test_one_device_needs_no_strategy():
    assert build_strategy("one_device").num_replicas_in_sync == 1
    assert is_chief(build_strategy("one_device"))


def test_unknown_strategy():
    with pytest.raises(UserError, match="--strategy must be one of one_device, mirrored, multi_worker; got 'tpu'"):
        build_strategy("tpu")


@pytest.mark.parametrize("value", [None, "", "{}", '{"cluster": {}}', "7"])
def test_multi_worker_needs_tf_config(value, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(UserError, match="multi_worker needs the environment variable TF_CONFIG"):
        build_strategy("multi_worker")


def test_batch_that_replicas_cannot_share():
    class ThreeReplicas:
        num_replicas_in_sync = 3

    with pytest.raises(UserError, match="batch of 32 must be a multiple of the number of replicas, 3"):
        distribute_batches(ThreeReplicas(), lambda: iter(()), (8, 8, 1), 32)


def test_a_process_makes_the_part_of_its_own_replicas_alone():
    """Four replicas in two processes: each asks for its half of every batch, and cuts that for its two."""
    asked = []

    def batches(part=None):
        asked.append(part)
        number, parts = part
        size = 8 // parts
        labels = np.arange(number * size, (number + 1) * size, dtype=np.int32)
        yield np.zeros((size, 2, 2, 1), np.float32), labels

    class TwoProcesses:
        num_replicas_in_sync = 4

        @staticmethod
        def distribute_datasets_from_function(of_pipeline):
            contexts = [tf.distribute.InputContext(2, number, 4) for number in range(2)]
            return [[labels.numpy().tolist() for _, labels in of_pipeline(context)] for context in contexts]

    found = distribute_batches(TwoProcesses(), batches, (2, 2, 1), 8)
    assert found == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]] and asked == [(0, 2), (1, 2)]


def test_one_replica_gets_whole_batches():
    batches = [(np.full((4, 2, 2, 1), index, np.float32), np.arange(4, dtype=np.int32)) for index in range(3)]
    dataset = distribute_batches(tf.distribute.get_strategy(), lambda: iter(batches), (2, 2, 1), 4)
    found = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    assert len(found) == 3
    for (images, labels), (expected_images, expected_labels) in zip(found, batches, strict=True):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)
