"""What every pooling costs beside global average pooling: forward and backward, in three ways to run it.

    python benchmarks/poolings.py              both shapes, all ways: the figures in docs/poolings.md, some minutes
    python benchmarks/poolings.py --quick      three poolings, one small shape, to see that it runs

Every pooling gets the features (B, H, W, C) of a backbone through a 1×1 convolution to 128 dimensions, which GAP has in
front of it too; the ensembles take 8 prototypes × 16. The gradients are those of one random linear functional of the
pooled vector, with respect to features, convolution and pooling. A round calls every pooling once, in random order, and
ratios are taken within a round; the table has the medians over the rounds.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow import keras  # noqa: E402
from tqdm import tqdm  # noqa: E402

from gsp_tf.pooling import POOLINGS  # noqa: E402

DIM = 128
SHAPES = ((32, 7, 7, 2048), (32, 14, 14, 1024))
QUICK_SHAPES = ((4, 3, 3, 32),)
ENSEMBLE = {"num_prototypes": 8, "width": DIM // 8}
GSP = {"num_prototypes": 64, "mu": 0.3, "epsilon": 5.0}
# GAP, what all others are compared with, comes first.
METHODS = {
    **{name.removesuffix("Pooling"): (name, {}) for name in POOLINGS if name.endswith("Pooling")},
    "OTP": ("OTPPooling", ENSEMBLE),
    "NetVLAD": ("NetVLADPooling", ENSEMBLE),
    "UOT": ("UOTPooling", {"solver": "sinkhorn"}),
    "UOT badmm_entropic": ("UOTPooling", {"solver": "badmm_entropic"}),
    "UOT badmm_quadratic": ("UOTPooling", {"solver": "badmm_quadratic"}),
    "GMP+GSP": ("GSPLayer", {**GSP, "reduce": "max"}),
    "GeM+GSP": ("GSPLayer", {**GSP, "reduce": "gem"}),
    "GSP": ("GSPLayer", GSP),
}
QUICK_METHODS = ("GAP", "GeM", "GSP")
MODES = {"eager": None, "tf.function": False, "jit_compile": True}


def training_step(method, shape, mode):
    """A function without arguments that runs forward and backward, and returns the loss."""
    name, arguments = METHODS[method]
    rng = np.random.default_rng(0)
    features = tf.constant(np.maximum(rng.normal(size=shape), 0), tf.float32)
    convolution, pooling = keras.layers.Dense(DIM), POOLINGS[name](**arguments)
    direction = tf.constant(rng.normal(size=pooling(convolution(features)).shape), tf.float32)
    weights = [*convolution.trainable_weights, *pooling.trainable_weights]

    def step():
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = tf.reduce_sum(pooling(convolution(features)) * direction)
        return loss, tape.gradient(loss, [features, *weights])

    return step if MODES[mode] is None else tf.function(step, jit_compile=MODES[mode])


def measure(methods, shape, mode, rounds):
    """Seconds of every method in every round, (rounds, methods)."""
    steps = []
    for method in tqdm(methods, desc=f"{shape} {mode}: compiling", leave=False):
        steps.append(training_step(method, shape, mode))
        for _ in range(2):
            float(steps[-1]()[0])
    times = np.empty((rounds, len(steps)))
    rng = np.random.default_rng(0)
    for times_of_round in tqdm(times, desc=f"{shape} {mode}: rounds", leave=False):
        for index in rng.permutation(len(steps)):
            started = time.perf_counter()
            float(steps[index]()[0])
            times_of_round[index] = time.perf_counter() - started
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="rounds per shape and way; 15 by default, 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="three poolings, one small shape")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {options.rounds}")
    rounds = options.rounds or (3 if options.quick else 15)
    methods = QUICK_METHODS if options.quick else tuple(METHODS)
    # One function for each method and shape is the point here, not the retracing that TensorFlow warns of.
    tf.get_logger().setLevel("ERROR")
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    print(f"TensorFlow {tf.__version__}, {device}, {os.cpu_count()} cores; forward + backward with the 1×1 convolution "
          f"to {DIM}, float32, {rounds} rounds; medians of the time relative to GAP's, GAP's own in milliseconds.\n")
    columns = {}
    for shape in QUICK_SHAPES if options.quick else SHAPES:
        for mode in MODES:
            times = measure(methods, shape, mode, rounds)
            ratios = np.median(times / times[:, :1], axis=0)
            head = f"{shape[1]}×{shape[2]}×{shape[3]} {mode}"
            columns[head] = [f"{1e3 * np.median(times[:, 0]):.1f} ms", *(f"{ratio:.2f}" for ratio in ratios[1:])]
    print("| pooling | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for index, method in enumerate(methods):
        print(f"| {method} | " + " | ".join(column[index] for column in columns.values()) + " |")


if __name__ == "__main__":
    main()
