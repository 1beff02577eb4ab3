"""Train a few steps under a strategy and write what came out; run as a script, one process a worker.

    python -m tests.training.distributed_steps STRATEGY REPLICAS OUT.npz
"""

import itertools
import sys

import numpy as np
import tensorflow as tf
from tensorflow import keras

STEPS, SEED = 4, 3


def main(name, replicas, out):
    if replicas > 1 and name == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    from gsp_tf.data import DigitsMixture, training_batches
    from gsp_tf.ops.replicas import as_array
    from gsp_tf.pooling import PrototypeInitializer
    from gsp_tf.training.build import build_learner
    from gsp_tf.training.config import parse_run
    from gsp_tf.training.distribution import build_strategy, distribute_batches
    from gsp_tf.training.evaluation import RetrievalEvaluation

    strategy = build_strategy(name)
    assert strategy.num_replicas_in_sync == replicas, strategy.num_replicas_in_sync
    tf.config.experimental.enable_op_determinism()
    config = parse_run({
        "data": {"name": "digits_mixture"},
        "model": {
            "backbone": {"name": "convnet", "channels": [4, 8]},
            "local_dim": 8,
            "pooling": {"name": "GSPLayer", "num_prototypes": 6, "mu": 0.4, "epsilon": 5.0},
        },
        "loss": {"name": "ContrastiveLoss"},
        "regularizer": {"name": "ZeroShotRegularizer", "weight": 0.3},
        # SGD: Adam divides tiny gradients by their own size, which turns rounding into steps.
        "training": {"optimizer": {"name": "SGD", "learning_rate": 0.1}},
    }, "test")
    train, validation = DigitsMixture("train"), DigitsMixture("validation", images_per_class=5)
    keras.utils.set_random_seed(SEED)
    with strategy.scope():
        learner = build_learner(config, train.image_shape, train.num_classes)
    batches = lambda: training_batches(train, 8, 4, seed=SEED)  # noqa: E731
    history = learner.fit(
        distribute_batches(strategy, batches, train.image_shape, 32),
        steps_per_epoch=1,
        epochs=STEPS,
        verbose=0,
        callbacks=[
            PrototypeInitializer(lambda: itertools.islice(batches(), 4), num_features=64, warmup_steps=2, seed=SEED),
            RetrievalEvaluation(*validation.images_and_labels()),
        ],
    ).history
    # Keras 2.15 counts the sums of metrics among a model's weights; they add up over replicas.
    trained = [*learner.embedder.weights, *learner.regularizer.weights]
    weights = {f"weight_{index}": as_array(value) for index, value in enumerate(trained)}
    np.savez(out, **weights, **{key: np.array(values) for key, values in history.items()})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
