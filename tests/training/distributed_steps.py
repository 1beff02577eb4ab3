"""Train a few steps with every loss under a strategy and write what came out; run as a script, one process a worker.

    python -m tests.training.distributed_steps STRATEGY REPLICAS OUT.npz
"""

import itertools
import sys

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.data import DigitsMixture, training_batches
from gsp_tf.ops.replicas import as_array
from gsp_tf.pooling import PrototypeInitializer
from gsp_tf.training.alternating_projections import AlternatingProjections
from gsp_tf.training.build import build_learner
from gsp_tf.training.config import parse_run
from gsp_tf.training.distribution import build_strategy, distribute_batches
from gsp_tf.training.evaluation import RetrievalEvaluation
from tests.tiny_job import run_values
from tests.training.loss_cases import CASES

STEPS, SEED, CLASSES_PER_BATCH, SAMPLES_PER_CLASS = 3, 3, 8, 4
# Full after two steps; the third uses it and overwrites the older half.
MEMORY = {"memory": {"size_in_batches": 2, "start_after": 0}}
# One convolution is enough, and of one convolution maxima differ more between images than means do: distances that are
# differences of nearly the same numbers would show rounding as gradients.
PLAIN = {**run_values("GAP"), "model": {
    "backbone": {"name": "convnet", "channels": [4]}, "local_dim": 8, "pooling": {"name": "GMPPooling"},
}}
GSP = run_values("GSP+ZSR")
DISTRIBUTED = {
    # Both parts of "proxies with margins" are here by themselves.
    **{name: {**PLAIN, **changes} for name, changes in CASES.items() if name != "proxies with margins"},
    "memory": {**PLAIN, **CASES["memory"], **MEMORY},
    "GSP+ZSR": GSP,
    "GSP+ZSR with memory": {**GSP, **MEMORY},
}
TRAINING = {
    "classes_per_batch": CLASSES_PER_BATCH,
    "samples_per_class": SAMPLES_PER_CLASS,
    # SGD: Adam divides tiny gradients by their own size, which turns rounding into steps.
    "optimizer": {"name": "SGD", "learning_rate": 0.1},
}


class FallingScore(keras.callbacks.Callback):
    """A score in place of an evaluation: a problem of patience 1 ends after the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_MAP@R"] = 1 / (1 + epoch)


def main(name, replicas, out):
    if replicas > 1 and name == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    strategy = build_strategy(name)
    assert strategy.num_replicas_in_sync == replicas, strategy.num_replicas_in_sync
    tf.config.experimental.enable_op_determinism()
    found = {}
    for case in DISTRIBUTED:
        found.update({f"{case}/{key}": value for key, value in train(case, strategy).items()})
    np.savez(out, **found)


def train(case, strategy):
    """Train one case, a step an epoch: its history, and its variables before and after."""
    config = parse_run({**DISTRIBUTED[case], "training": TRAINING}, case)
    dataset = DigitsMixture("train")
    keras.utils.set_random_seed(SEED)
    with strategy.scope():
        learner = build_learner(config, dataset.image_shape, dataset.num_classes)

    def batches(part=(0, 1)):
        return training_batches(dataset, CLASSES_PER_BATCH, SAMPLES_PER_CLASS, seed=SEED, part=part)

    callbacks = []
    if config.regularizer is not None:
        validation = DigitsMixture("validation", images_per_class=5)
        callbacks = [
            PrototypeInitializer(lambda: itertools.islice(batches(), 4), num_features=64, warmup_steps=1, seed=SEED),
            RetrievalEvaluation(*validation.images_and_labels()),
        ]
    if config.projections is not None:
        settings = config.projections
        callbacks = [FallingScore(), AlternatingProjections(
            dataset.draw, settings.pool_size, settings.selection, settings.patience, seed=SEED
        )]
    before = trained_values(learner, strategy)
    history = learner.fit(
        distribute_batches(strategy, batches, dataset.image_shape, CLASSES_PER_BATCH * SAMPLES_PER_CLASS),
        steps_per_epoch=1,
        epochs=STEPS,
        verbose=0,
        callbacks=callbacks,
    ).history
    groups = {"history": history, "before": before, "after": trained_values(learner, strategy)}
    return {f"{group}/{key}": np.array(value) for group, values in groups.items() for key, value in values.items()}


def trained_values(learner, strategy):
    """The values of what a case trains and remembers; every replica's copy must be the same."""
    # Keras 2.15 counts the sums of metrics among a model's weights; they add up over replicas.
    parts = {"embedder": [learner.embedder], "loss": learner.loss_layers, "regularizer": [learner.regularizer],
             "projection": [learner.projection]}
    values = {}
    for part, layers in parts.items():
        variables = [variable for layer in layers if layer is not None for variable in layer.weights]
        for index, variable in enumerate(variables):
            key = f"{part}/{index}"
            values[key] = as_array(variable)
            # Keras 3 wraps TensorFlow's variable.
            inner = variable if callable(variable.value) else variable.value
            for copy in strategy.experimental_local_results(inner):
                np.testing.assert_array_equal(as_array(copy), values[key], err_msg=f"{key} differs between replicas")
    return values


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
