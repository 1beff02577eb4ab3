"""Train a linear map with a memory and proxies under a strategy and write what came out, one process a worker.

    python -m tests.losses.distributed_memory STRATEGY REPLICAS OUT.npz
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow import keras

ROOT = Path(__file__).resolve().parents[2]
STEPS, BATCH, SIZE, DIM, CLASSES = 6, 6, 5, 3, 4


def start(name, replicas, *outs):
    """Start this file as a script, once per path to write."""
    sockets = [socket.socket() for _ in outs]
    for each in sockets:
        each.bind(("localhost", 0))
    workers = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    processes = []
    for index, out in enumerate(outs):
        cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": json.dumps(cluster)}
        command = [sys.executable, "-m", "tests.losses.distributed_memory", name, str(replicas), str(out)]
        processes.append(subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ))
    return processes


def finish(processes):
    """Wait for started processes, and fail if one of them did."""
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()[-3000:]


def train(name, replicas, out):
    """Train and save the losses, the memory and the weights; every replica's copy of the memory must be the same."""
    if replicas > 1 and name == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    from gsp_tf.losses.contrastive import ContrastiveLoss
    from gsp_tf.losses.cross_batch_memory import CrossBatchMemory
    from gsp_tf.losses.proxy_anchor import ProxyAnchorLoss
    from gsp_tf.ops.replicas import as_array, gather_batch, replica_count
    from gsp_tf.training.distribution import build_strategy

    strategy = build_strategy(name)
    assert strategy.num_replicas_in_sync == replicas, strategy.num_replicas_in_sync
    keras.utils.set_random_seed(0)
    with strategy.scope():
        dense = keras.layers.Dense(DIM)
        dense.build((None, SIZE))
        memory = CrossBatchMemory(
            ContrastiveLoss(0.0, 1.0), size_in_batches=2, start_after=1, batch_size=BATCH, embedding_dim=DIM
        )
        anchors = ProxyAnchorLoss(CLASSES, DIM, lr_multiplier=10.0)
        weights = [*dense.trainable_variables, *anchors.trainable_variables]
        optimizer = keras.optimizers.SGD(0.01)
        optimizer.build(weights)

    @tf.function
    def step(inputs, labels):
        def replica_step(inputs, labels):
            with tf.GradientTape() as tape:
                labels, embeddings = gather_batch(labels), gather_batch(dense(inputs))
                loss = memory(labels, embeddings) + anchors(labels, embeddings)
                part = loss / replica_count()
            optimizer.apply_gradients(zip(tape.gradient(part, weights), weights, strict=True))
            return loss

        return strategy.experimental_local_results(strategy.run(replica_step, args=(inputs, labels)))[0]

    rng = np.random.default_rng(0)
    losses, part = [], BATCH // replicas
    for _ in range(STEPS):
        inputs, labels = rng.normal(size=(BATCH, SIZE)).astype(np.float32), rng.integers(0, CLASSES, BATCH)
        inputs, labels = (
            strategy.experimental_distribute_values_from_function(
                lambda context, array=array: tf.constant(array[context.replica_id_in_sync_group * part:][:part])
            )
            for array in (inputs, labels)
        )
        losses.append(step(inputs, labels).numpy())
    copies = {}
    for key in ("embeddings", "labels", "pointer", "count", "steps"):
        variable = getattr(memory, key)
        inner = variable if callable(variable.value) else variable.value
        every = [np.array(copy) for copy in strategy.experimental_local_results(inner)]
        assert all(np.array_equal(copy, every[0]) for copy in every), f"{key} differs between replicas"
        copies[key] = every[0]
    trained = {f"weight_{index}": as_array(value) for index, value in enumerate(weights)}
    np.savez(out, losses=losses, **copies, **trained)


if __name__ == "__main__":
    train(sys.argv[1], int(sys.argv[2]), sys.argv[3])
