"""What a training step of an embedder costs: time beside others in one process, peak memory in a process of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.training.build import build_embedder
from gsp_tf.training.run import load_run

WARMUP_CALLS = 3


def build_step(config, image_shape):
    """A compiled function from images to the gradients of a linear functional of their embeddings."""
    embedder = build_embedder(config, image_shape)

    @tf.function(input_signature=[tf.TensorSpec((None, *image_shape))])
    def step(images):
        with tf.GradientTape() as tape:
            embedding = embedder(images, training=True)["embedding"]
            loss = tf.reduce_sum(embedding * tf.range(1.0, 1.0 + embedding.shape[1]))
        gradients = tape.gradient(loss, embedder.trainable_variables)
        return [gradient for gradient in gradients if gradient is not None]

    return step


def step_times(configs, image_shape, batch_size, rounds=20):
    """Median time of forward + backward relative to the first config's.

    Every round calls each once, in random order, and ratios are taken within a round: what else the machine does
    falls on all alike.

    Args:
        configs: dict from name to :class:`gsp_tf.training.config.RunConfig`.
        image_shape: (H, W, C).
        batch_size: images a step.
        rounds: at least 1.

    Returns:
        dict from name to ratio; the first is 1.
    """
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(size=(batch_size, *image_shape)), tf.float32)
    steps = {name: build_step(config, image_shape) for name, config in configs.items()}
    for step in steps.values():
        for _ in range(WARMUP_CALLS):
            step(images)
    times = {name: [] for name in steps}
    for _ in range(rounds):
        for name in rng.permutation(list(steps)):
            started = time.perf_counter()
            tf.nest.map_structure(lambda gradient: gradient.numpy(), steps[name](images))
            times[name].append(time.perf_counter() - started)
    floor = np.array(next(iter(times.values())))
    return {name: float(np.median(np.array(taken) / floor)) for name, taken in times.items()}


def peak_memory(directory, image_shape, batch_size):
    """Megabytes (10⁶ bytes) in use at the highest during a warm step, above those just before it.

    Args:
        directory: folder of a run; its config is built in a child process.
        image_shape: (H, W, C).
        batch_size: images a step.
    """
    command = [sys.executable, "-m", "gsp_tf.experiments.cost", str(directory), json.dumps([image_shape, batch_size])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **_environment()})
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {directory} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _environment():
    # This allocator of TensorFlow's for the CPU counts its bytes.
    return {"TF_CPU_ALLOCATOR_USE_BFC": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _measure(directory, image_shape, batch_size):
    config, _ = load_run(Path(directory))
    keras.mixed_precision.set_global_policy(config.training.precision)
    step = build_step(config, tuple(image_shape))
    images = tf.random.uniform((batch_size, *image_shape))
    device = "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
    for _ in range(2):
        step(images)
    tf.config.experimental.reset_memory_stats(device)
    before = tf.config.experimental.get_memory_info(device)["current"]
    step(images)
    return (tf.config.experimental.get_memory_info(device)["peak"] - before) / 1e6


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], *json.loads(sys.argv[2]))))
