"""Time and peak memory of the losses beside pytorch-metric-learning's, in one run on one machine.

    pip install -e ".[benchmark]"
    python benchmarks/losses.py              all losses and batch sizes, some ten minutes
    python benchmarks/losses.py --quick      two losses and one small batch, to see that it runs

Forward + backward of (B, 128) float32 embeddings with 4 samples per class, on the CPU: gradients with respect to
the embeddings and to the proxies, of 100 classes, where there are any. Ours runs inside tf.function, without and with
jit_compile; the peer as its users call it; all with the same number of threads. A round takes them in random order,
each with a call to warm up and then the shortest of three, and ratios are taken within a round, so that whatever else
the machine does falls on all alike; the table has the medians over the rounds. OMP_WAIT_POLICY=PASSIVE keeps
PyTorch's threads from spinning: where other programs run, too, that made its calls 100 times as long.
"""

import argparse
import multiprocessing
import os
import sys
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import loss_rows  # noqa: E402
import numpy as np  # noqa: E402
import pytorch_metric_learning  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402

DIM, PER_CLASS, ROWS = loss_rows.DIM, loss_rows.PER_CLASS, loss_rows.ROWS
SIZES, QUICK_ROWS, THREADS = (32, 128, 512, 1024), ("Contrastive (C2)", "ProxyAnchor"), 2
GRAPH, JIT, PEER = METHODS = ("tf.function", "jit_compile", "pytorch-metric-learning")


def training_step(name, size, method):
    """A function without arguments that returns the loss and its gradients, as tensors of its library."""
    batch = loss_rows.random_batch(size)
    if method == PEER:
        return their_step(ROWS[name].theirs(size), *batch)
    return our_step(ROWS[name].ours(size), *batch, jit_compile=method == JIT)


def our_step(loss, labels, x, jit_compile):
    labels, x = tf.constant(labels), tf.constant(x)

    @tf.function(jit_compile=jit_compile)
    def step(labels, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(labels, x)
        return value, tape.gradient(value, [x, *tape.watched_variables()])

    # Traced here, so that the memory is that of a step and not of tracing.
    step.get_concrete_function(labels, x)
    return partial(step, labels, x)


def their_step(loss, labels, x):
    labels, x = torch.from_numpy(labels), torch.from_numpy(x).requires_grad_()
    loss, *proxies = loss if isinstance(loss, tuple) else (loss,)

    def step():
        value = loss(labels, x)
        return value.detach(), torch.autograd.grad(value, [x, *proxies])

    return step


def measure_times(steps, rounds, seconds):
    """Seconds of every method in every round, (rounds, methods); from 3 rounds on they end after so many seconds."""
    for step in steps * 2:
        float(step()[0])
    times, rng, end = [], np.random.default_rng(0), time.perf_counter() + seconds
    while len(times) < rounds and (len(times) < 3 or time.perf_counter() < end):
        times.append(np.empty(len(steps)))
        for index in rng.permutation(len(steps)):
            float(steps[index]()[0])
            times[-1][index] = shortest_time(steps[index])
    return np.array(times)


def shortest_time(step):
    """Seconds of the shortest of three calls, or of the first of those that take long, whose disturbances even out."""
    shortest, start = np.inf, time.perf_counter()
    for _ in range(3):
        if time.perf_counter() - start < 0.2:
            before = time.perf_counter()
            float(step()[0])
            shortest = min(shortest, time.perf_counter() - before)
    return shortest


def difference(step, other):
    """The largest difference of losses and gradients, each relative to the largest of its tensor."""
    (value, gradients), (expected, others) = step(), other()
    worst = 0
    for x, y in zip((value, *gradients), (expected, *others), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        worst = max(worst, np.abs(x - (y if x.shape == y.shape else y.T)).max() / np.abs(y).max())
    return worst


def memory_in_use(peak=False):
    """Resident bytes of this process, now or at their highest since the peak was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:" if peak else "VmRSS:")[1].split()[0])


def own_peak_memory(name, size, method):
    """How far steps lift the resident memory at its highest above that after steps of a tiny batch."""
    for warm in (True, False):
        step = training_step(name, 2 * PER_CLASS if warm else size, method)
        Path("/proc/self/clear_refs").write_text("5")
        before = memory_in_use()
        for _ in range(3):
            float(step()[0])
    return memory_in_use(peak=True) - before


def measure_memory(*task):
    """:func:`own_peak_memory` of a child process, forked before either library has started its threads."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: (use_threads(), sender.send(own_peak_memory(*task))))
    child.start()
    child.join()
    if child.exitcode:
        sys.exit(f"measuring the memory of {task} failed with exit code {child.exitcode}")
    return receiver.recv()


def use_threads():
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    torch.set_num_threads(THREADS)


def measure(name, size, rounds, seconds):
    """The cells of one row, memory aside."""
    steps = [training_step(name, size, method) for method in METHODS]
    times = measure_times(steps, rounds, seconds)
    ratios = np.median(times / times[:, [METHODS.index(PEER)]], axis=0)
    error = f"{max(difference(step, steps[-1]) for step in steps[:-1]):.0e}" if ROWS[name].same else "-"
    return [*(f"{1e3 * x:.2f}" for x in np.median(times, axis=0)), *(f"{x:.2f}" for x in ratios[:-1]), error]


def measure_all(tasks, rounds, seconds, with_memory):
    """Print the table, a row as soon as it is measured, above a progress bar; return its rows."""
    figures = [(*task, method) for task in tasks for method in (GRAPH, PEER)] if with_memory else []
    peaks = {}
    with tqdm(total=len(figures) + len(tasks)) as progress:
        # Memory first: once a library has started its threads, a process cannot be forked safely.
        for figure in figures:
            progress.set_description(f"memory, {figure[0]}, B = {figure[1]}")
            peaks[figure] = f"{measure_memory(*figure) / 2**20:.0f}"
            progress.update()
        use_threads()
        columns = ["loss", "B", f"{GRAPH} ms", f"{JIT} ms", "pml ms", f"{GRAPH} / pml", f"{JIT} / pml", "difference"]
        print_row([*columns, f"{GRAPH} MiB", "pml MiB"])
        print_row(["---", *["---:"] * (len(columns) + 1)])
        rows = []
        for name, size in tasks:
            progress.set_description(f"time, {name}, B = {size}")
            memory = [peaks.get((name, size, method), "-") for method in (GRAPH, PEER)]
            rows.append([name, str(size), *measure(name, size, rounds, seconds), *memory])
            print_row(rows[-1])
            progress.update()
    return rows


def print_row(cells):
    tqdm.write("| " + " | ".join(cells) + " |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", nargs="+", choices=ROWS, metavar="NAME", help=f"all by default: {'; '.join(ROWS)}")
    parser.add_argument("--sizes", nargs="+", type=int, help="batch sizes; 32, 128, 512 and 1024 by default")
    parser.add_argument("--rounds", type=int, help="rounds per row at most; 40 by default, 5 with --quick")
    parser.add_argument("--seconds", type=float, default=3, help="a row ends after them and 3 rounds; 3 by default")
    parser.add_argument("--quick", action="store_true", help=f"{' and '.join(QUICK_ROWS)} at B = 32")
    parser.add_argument("--no-memory", action="store_true", help="leave out memory: a process for each figure")
    options = parser.parse_args()
    names = options.losses or (QUICK_ROWS if options.quick else tuple(ROWS))
    sizes = options.sizes or (SIZES[:1] if options.quick else SIZES)
    rounds = (5 if options.quick else 40) if options.rounds is None else options.rounds
    if rounds < 1:
        parser.error(f"--rounds must be at least 1; got {rounds}")
    if min(sizes) < 2 * PER_CLASS:
        parser.error(f"--sizes must be at least {2 * PER_CLASS}, two classes; got {min(sizes)}")
    if not options.no_memory and not sys.platform.startswith("linux"):
        parser.error("memory is read from /proc, which Linux alone has: give --no-memory")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    # One function for each loss and size is the point here, not the retracing that TensorFlow warns of.
    tf.get_logger().setLevel("ERROR")
    tasks = [(name, size) for name in names for size in sizes]
    print(
        f"TensorFlow {tf.__version__}, PyTorch {torch.__version__}, pytorch-metric-learning (pml) "
        f"{pytorch_metric_learning.__version__}; CPU, {THREADS} threads each; forward + backward of (B, {DIM}) "
        f"float32, {PER_CLASS} samples per class;\nmedians of up to {rounds} rounds.\n"
        "Difference: the largest of the loss and the gradients, each relative to its largest entry; a triplet that is "
        "at its margin,\nbut for rounding, may count in one library and not in the other.\n"
        "MiB: how far the resident memory rises in a step, at its highest, above that after a step of a tiny batch;\n"
        "a process for each figure.\n",
        flush=True,
    )
    rows = measure_all(tasks, rounds, options.seconds, not options.no_memory)
    print()
    for mode, column in ((GRAPH, 5), (JIT, 6)):
        slower = [f"{row[0]}, B = {row[1]} ({row[column]})" for row in rows if float(row[column]) > 1.2]
        print(f"{mode} more than 1.2 times as slow: {'; '.join(slower) or 'nowhere'}.")
    print()
    for name in names:
        print(f"- {name}: beside {ROWS[name].peer}{'' if ROWS[name].same else '; another formula'}.")


if __name__ == "__main__":
    main()
