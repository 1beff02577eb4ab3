"""What GSP costs beside the floor of prototype pooling and beside the published solver: time, memory, exactness.

    python benchmarks/transport.py              all shapes: the figures in README, some minutes
    python benchmarks/transport.py --quick      one small shape and few rounds, to see that it runs

All methods pool the same features (B, n, d) with the same prototypes (m, d), forward and backward: the gradients of
one random linear functional of the pooled vector and of the histogram, with respect to features and prototypes.
A round calls every method once, in random order, and ratios are taken within a round, so that whatever else the
machine does falls on all methods alike; the table has the medians over the rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from gsp_tf import GSPLayer  # noqa: E402
from gsp_tf.ops.distances import pairwise_distances  # noqa: E402
from gsp_tf.ops.normalization import clip_to_unit_ball  # noqa: E402
from gsp_tf.transport import fixed_point, partial_transport  # noqa: E402
from gsp_tf.transport.plan import closed_form_gradient  # noqa: E402

MU, EPSILON, STEPS = 0.3, 5.0, 100
SHAPES = ((32, 49, 64, 128), (32, 196, 128, 128), (8, 4096, 128, 128))
QUICK_SHAPES = ((4, 49, 16, 32),)
MODES = {"tf.function": False, "jit_compile": True}
AVERAGE, ATTENTION, GSP = "GAP", "softmax attention", "GSP"
AUTODIFF, CLOSED_FORM = f"published {STEPS} steps, autodiff", f"published {STEPS} steps, closed form"


def cost_of(features, prototypes):
    return pairwise_distances(clip_to_unit_ball(prototypes), clip_to_unit_ball(features))


def attention(features, prototypes):
    """Weights softmax_j(s_j) with s_j = logsumexp_i(−ε c_ij), each handed on to prototypes by softmax_i(−ε c_ij).

    With one exponential per pair, as GSP has it: the plain formula of two softmaxes is the slower one.
    """
    exponent = -EPSILON * cost_of(features, prototypes)
    largest = tf.stop_gradient(tf.reduce_max(exponent, axis=1, keepdims=True))
    kernel = tf.exp(exponent - largest)
    total = tf.reduce_sum(kernel, axis=1)
    weights = tf.nn.softmax(largest[:, 0] + tf.math.log(total), axis=1)
    histogram = tf.reduce_sum(kernel * (weights / total)[:, tf.newaxis], axis=2)
    return tf.matmul(weights[:, tf.newaxis], features)[:, 0], histogram


def published(solve, features, prototypes):
    """What the layer does with the residual and the plan, after another solver than its own."""
    residual, plan = solve(cost_of(features, prototypes))
    weights = (1 / features.shape[1] - residual) / MU
    return tf.matmul(weights[:, tf.newaxis], features)[:, 0], tf.reduce_sum(plan, axis=2) / MU


@tf.custom_gradient
def fixed_point_closed_form(cost):
    residual, plan = fixed_point(cost, MU, EPSILON, STEPS)
    count = tf.fill((tf.shape(cost)[0], 1), tf.cast(tf.shape(cost)[2], cost.dtype))

    def gradient(d_residual, d_plan):
        share = 1 - count * residual
        return closed_form_gradient(residual, plan, share, count, EPSILON, d_residual, d_plan)[0]

    return (residual, plan), gradient


SOLVERS = {
    GSP: partial(partial_transport, mu=MU, epsilon=EPSILON),
    AUTODIFF: partial(fixed_point, mu=MU, epsilon=EPSILON, iterations=STEPS),
    CLOSED_FORM: fixed_point_closed_form,
}
METHODS = (AVERAGE, ATTENTION, *SOLVERS)
DEVICE = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def random_problem(shape):
    """Features with norms about 1, and prototypes drawn like them, the same for every method."""
    B, n, m, d = shape
    rng = np.random.default_rng(0)
    features, prototypes = rng.normal(size=(B, n, d)) / np.sqrt(d), rng.normal(size=(m, d)) / np.sqrt(d)
    on_pooled, on_histogram = rng.normal(size=(B, d)), rng.normal(size=(B, m))
    return [tf.constant(x, tf.float32) for x in (features, prototypes, on_pooled, on_histogram)]


def training_step(method, shape, mode):
    """A function without arguments that returns the loss and its gradients."""
    features, initial, on_pooled, on_histogram = random_problem(shape)
    prototypes = tf.Variable(initial)
    if method == GSP:
        layer = GSPLayer(shape[2], mu=MU, epsilon=EPSILON)
        layer.build(features.shape)
        layer.prototypes.assign(initial)
    pool = {
        AVERAGE: lambda x: (tf.reduce_mean(x, axis=1), None),
        ATTENTION: lambda x: attention(x, prototypes),
        GSP: lambda x: layer(x, return_histogram=True),
    }.get(method) or (lambda x: published(SOLVERS[method], x, prototypes))

    @tf.function(jit_compile=MODES[mode])
    def step(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled, histogram = pool(features)
            loss = tf.reduce_sum(pooled * on_pooled)
            if histogram is not None:
                loss += tf.reduce_sum(histogram * on_histogram)
        return loss, tape.gradient(loss, [features, *tape.watched_variables()])

    return partial(step, features)


def measure_times(shape, mode, rounds):
    """Seconds of every method in every round, (rounds, methods)."""
    steps = [training_step(method, shape, mode) for method in METHODS]
    for step in steps * 3:
        float(step()[0])
    times = np.empty((rounds, len(steps)))
    rng = np.random.default_rng(0)
    for times_of_round in times:
        for index in rng.permutation(len(steps)):
            start = time.perf_counter()
            float(steps[index]()[0])
            times_of_round[index] = time.perf_counter() - start
    return times


def constraint_error(method, shape, mode):
    """The larger of |Σ_ij π_ij − μ| and max_j n |ρ_j + Σ_i π_ij − 1/n|, summed in float64."""
    features, prototypes, *_ = random_problem(shape)
    solve = tf.function(lambda x, y: SOLVERS[method](cost_of(x, y)), jit_compile=MODES[mode])
    residual, plan = (x.numpy().astype(np.float64) for x in solve(features, prototypes))
    per_feature = np.abs(shape[1] * (residual + plan.sum(axis=1)) - 1).max()
    return max(np.abs(plan.sum(axis=(1, 2)) - MU).max(), per_feature)


def own_peak_memory(method, shape, mode):
    """How far one step, already traced and compiled, lifts the bytes in use at their highest."""
    step = training_step(method, shape, mode)
    for _ in range(2):
        float(step()[0])
    tf.config.experimental.reset_memory_stats(f"{DEVICE}:0")
    before = tf.config.experimental.get_memory_info(f"{DEVICE}:0")["current"]
    float(step()[0])
    return tf.config.experimental.get_memory_info(f"{DEVICE}:0")["peak"] - before


def measure_memory(method, shape, mode):
    """:func:`own_peak_memory` of a fresh process, whose allocator for the CPU counts its bytes."""
    command = [sys.executable, __file__, "--memory-of", json.dumps([method, shape, mode])]
    environment = {**os.environ, "TF_CPU_ALLOCATOR_USE_BFC": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"measuring the memory of {method} failed:\n{done.stderr}")
    return int(done.stdout.split()[-1])


def table(shape, mode, rounds, memory_of):
    times = measure_times(shape, mode, rounds)
    to_attention, to_average = (
        np.median(times / times[:, [METHODS.index(other)]], axis=0) for other in (ATTENTION, AVERAGE)
    )
    rows = [["method", "median ms", "/ attention", "/ GAP", "constraint error", "peak MiB"]]
    for index, method in enumerate(METHODS):
        error = f"{constraint_error(method, shape, mode):.0e}" if method in SOLVERS else "-"
        memory = f"{measure_memory(method, shape, mode) / 2**20:.1f}" if method in memory_of else "-"
        middle = f"{1e3 * np.median(times[:, index]):.2f}"
        rows.append([method, middle, f"{to_attention[index]:.2f}", f"{to_average[index]:.1f}", error, memory])
    return rows


def show(rows, markdown):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [[name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])] for name, *cells in rows]
    if markdown:
        aligned.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    for row in aligned:
        print("| " + " | ".join(row) + " |" if markdown else "  ".join(row))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="rounds per shape and mode; 40 by default, 3 with --quick")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="both by default")
    parser.add_argument("--quick", action="store_true", help="one small shape; memory of GSP only")
    parser.add_argument("--no-memory", action="store_true", help="leave out memory: a process for each figure")
    parser.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    parser.add_argument("--memory-of", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {options.rounds}")
    if options.memory_of:
        return print(own_peak_memory(*options.memory_of))
    rounds = options.rounds or (3 if options.quick else 40)
    memory_of = () if options.no_memory else (GSP,) if options.quick else METHODS
    # One function for each method and shape is the point here, not the retracing that TensorFlow warns of.
    tf.get_logger().setLevel("ERROR")
    print(
        f"TensorFlow {tf.__version__}, {DEVICE}, {os.cpu_count()} cores; forward + backward, float32, "
        f"μ = {MU}, ε = {EPSILON:g}, {rounds} rounds.\n"
        "Constraint error: the larger of |Σ_ij π_ij − μ| and max_j n |ρ_j + Σ_i π_ij − 1/n|.\n"
        "Peak: bytes in use in TensorFlow's allocator at the highest during a warm step, above those just before it;\n"
        "a fresh process for each figure."
    )
    for mode in options.modes:
        for shape in QUICK_SHAPES if options.quick else SHAPES:
            print(f"\n{mode}, (B, n, m, d) = {shape}\n", flush=True)
            show(table(shape, mode, rounds, memory_of), options.markdown)


if __name__ == "__main__":
    main()
