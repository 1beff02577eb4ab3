import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.errors import UserError
from gsp_tf.training.distribution import build_strategy, distribute_batches, is_chief

ROOT = Path(__file__).resolve().parents[2]


def start(name, replicas, out, **environment):
    command = [sys.executable, "-m", "tests.training.distributed_steps", name, str(replicas), str(out)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output.decode()[-3000:]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    out = tmp_path_factory.mktemp("one_device") / "out.npz"
    finish(start("one_device", 1, out))
    return dict(np.load(out))


def assert_same_training(found, expected):
    assert found.keys() == expected.keys()
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-3, atol=5e-5, err_msg=key)


def test_the_reference_trains(one_device):
    """What the others are compared with moves, sets prototypes and regularises."""
    assert np.all(np.diff(one_device["loss"]) != 0)
    assert np.all(one_device["zero_shot_loss"] > 0)
    assert len(one_device["val_MAP@R"]) == 4


@pytest.mark.parametrize("replicas", [2, 4])
def test_logical_devices_give_the_one_device_result(replicas, one_device, tmp_path):
    finish(start("mirrored", replicas, tmp_path / "out.npz"))
    assert_same_training(dict(np.load(tmp_path / "out.npz")), one_device)


def test_two_processes_give_the_one_device_result(one_device, tmp_path):
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("localhost", 0))
    workers = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    processes = []
    for index in range(2):
        cluster = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        processes.append(start("multi_worker", 2, tmp_path / f"{index}.npz", TF_CONFIG=cluster))
    for process in processes:
        finish(process)
    for index in range(2):
        assert_same_training(dict(np.load(tmp_path / f"{index}.npz")), one_device)


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


def test_one_replica_gets_whole_batches():
    batches = [(np.full((4, 2, 2, 1), index, np.float32), np.arange(4, dtype=np.int32)) for index in range(3)]
    dataset = distribute_batches(tf.distribute.get_strategy(), lambda: iter(batches), (2, 2, 1), 4)
    found = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    assert len(found) == 3
    for (images, labels), (expected_images, expected_labels) in zip(found, batches, strict=True):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)
