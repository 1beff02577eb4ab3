"""Strategies by name, and batches cut for them."""

import json
import os

import tensorflow as tf

from gsp_tf.errors import UserError

STRATEGIES = ("one_device", "mirrored", "multi_worker")


def build_strategy(name, devices=None):
    """The ``tf.distribute`` strategy of a name.

    Args:
        name: "one_device" (no copies), "mirrored" (the devices of this machine) or "multi_worker" (one process a
            worker, told of each other by the environment variable TF_CONFIG).
        devices: for "mirrored": device names; by default all GPUs, or else all logical CPUs.

    Raises:
        UserError: for an unknown name, or "multi_worker" without TF_CONFIG.
    """
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        if devices is None:
            found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            devices = [device.name for device in found]
        return tf.distribute.MirroredStrategy(devices)
    if name == "multi_worker":
        try:
            if "worker" not in json.loads(os.environ["TF_CONFIG"])["cluster"]:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise UserError(
                "--strategy multi_worker needs the environment variable TF_CONFIG on every worker, such as "
                '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
            ) from None
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise UserError(f"--strategy must be one of {', '.join(STRATEGIES)}; got {name!r}")


def is_chief(strategy):
    """Whether this process writes the files: the first worker, or the only one."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or resolver.task_id == 0


def distribute_batches(strategy, batches, image_shape, batch_size):
    """Turn a function that yields global batches into the data set that ``fit`` takes under the strategy.

    Replica r of R gets samples [r·B/R, (r+1)·B/R) of every global batch, whichever process it runs in: gathered in
    replica order, the parts are the batch again. A process makes the part of its own replicas alone.

    Args:
        strategy: of :func:`build_strategy`.
        batches: function that returns an iterator of ``(images, labels)`` arrays: without arguments of global batches,
            with ``(i, k)`` of the i-th of k equal consecutive parts of each; those of all processes must be of the same
            batches.
        image_shape: (H, W, C).
        batch_size: B, a multiple of the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f"the batch of {batch_size} must be a multiple of the number of replicas, {replicas}: change "
            "training.classes_per_batch or training.samples_per_class"
        )
    part = batch_size // replicas
    signature = (tf.TensorSpec((part, *image_shape), tf.float32), tf.TensorSpec((part,), tf.int32))

    def dataset(pipeline, pipelines):
        def parts():
            for images, labels in batches() if pipelines == 1 else batches((pipeline, pipelines)):
                for start in range(0, len(labels), part):
                    yield images[start:start + part], labels[start:start + part]

        return tf.data.Dataset.from_generator(parts, output_signature=signature).prefetch(4)

    if replicas == 1:
        return dataset(0, 1)

    def of_pipeline(context):
        return dataset(context.input_pipeline_id, context.num_input_pipelines)

    return strategy.distribute_datasets_from_function(of_pipeline)
