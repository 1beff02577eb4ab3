"""Time and peak memory of the retrieval metrics beside pytorch-metric-learning's, in one run on one machine.

    pip install -e ".[benchmark]"
    python benchmarks/retrieval.py              the test half of SOP in size, 128-D and 512-D, some ten minutes
    python benchmarks/retrieval.py --quick      some thousand images, to see that it runs

P@1, P@R and MAP@R of random L2-normalised float32 embeddings: 60,502 images of some 11,300 classes with 2 to 12
images. The peer is AccuracyCalculator with faiss and k="max_bin_count"; its default, k=None, ranks all pairs, which
takes 29 GB here. A round takes both in random order, with the same number of threads, and ratios are taken within a
round, so that whatever else the machine does falls on both alike; the table has the medians over the rounds. The peak
memory is that of a process which imports gsp_tf, and TensorFlow with it, makes the embeddings and measures them.

Then the 81 ensembles of 4 folds × 3 repeats of 128-D models, whose repeats are one random embedding with different
noise, beside 81 calls of retrieval_metrics with the concatenated embeddings.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import time
from pathlib import Path

THREADS = 2
# Before NumPy, faiss and PyTorch start their threads.
os.environ.update({name: str(THREADS) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

IMAGES, DIMS, COLLECTIONS = 60_502, (128, 512), 6_000
QUICK_IMAGES, QUICK_DIMS, QUICK_COLLECTIONS = 3_000, (128,), 300
FOLDS, REPEATS, MODEL_DIM = 4, 3, 128
FIGURES = {"P@1": "precision_at_1", "P@R": "r_precision", "MAP@R": "mean_average_precision_at_r"}


def random_labels(images):
    """Classes of 2 to 12 images, 5.35 on average as in SOP."""
    sizes = 2 + np.random.default_rng(0).binomial(10, 0.335, size=images)
    return np.repeat(np.arange(images), sizes)[:images]


def random_embeddings(labels, dim, seed=0):
    """Normal noise about normal class centres, with a spectrum that decays, in float32 and at unit length."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(labels), dim), np.float32)
    x += rng.standard_normal((labels.max() + 1, dim), np.float32)[labels]
    x *= np.sqrt(1 / np.arange(1, dim + 1, dtype=np.float32))
    return normalised(x)


def normalised(x):
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x


def ours(x, labels):
    from gsp_tf.metrics import retrieval_metrics

    measured = retrieval_metrics(x, labels)
    return [measured[name] for name in FIGURES]


def load_peer():
    """A function like `ours`, or the name of what is not installed."""
    try:
        import faiss
        import torch
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    except ImportError as error:
        return error.name
    torch.set_num_threads(THREADS)
    faiss.omp_set_num_threads(THREADS)
    calculator = AccuracyCalculator(tuple(FIGURES.values()), k="max_bin_count", device=torch.device("cpu"))

    def theirs(x, labels):
        measured = calculator.get_accuracy(torch.from_numpy(x), torch.from_numpy(labels))
        return [measured[name] for name in FIGURES.values()]

    return theirs


def send_own_peak(sender, images, dim):
    labels = random_labels(images)
    ours(random_embeddings(labels, dim), labels)
    sender.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def peak_memory(images, dim):
    """Bytes of a fresh process, at their highest."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=send_own_peak, args=(sender, images, dim))
    child.start()
    child.join()
    if child.exitcode:
        sys.exit(f"measuring the memory of {dim}-D failed with exit code {child.exitcode}")
    return receiver.recv()


def timed(function, *arguments):
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def compare(images, dims, peaks, rounds, theirs):
    """Print a row a dimension: medians over the rounds, and the largest difference of the three figures."""
    print_row(["embeddings", "ours s", "peer s", "ours / peer", "ours GiB", "difference", *FIGURES])
    print_row(["---", *["---:"] * 8])
    rng = np.random.default_rng(0)
    labels = random_labels(images)
    functions = [ours] if theirs is None else [ours, theirs]
    for dim, peak in zip(dims, peaks, strict=True):
        x = random_embeddings(labels, dim)
        for function in functions:
            function(x[:1000], labels[:1000])
        times, figures = np.full((rounds, 2), np.nan), np.full((2, len(FIGURES)), np.nan)
        for of_round in tqdm(times, desc=f"{images} × {dim}", leave=False):
            for index in rng.permutation(len(functions)):
                of_round[index], figures[index] = timed(functions[index], x, labels)
        cells = [*(f"{seconds:.1f}" for seconds in np.median(times, axis=0))]
        cells += [f"{np.median(times[:, 0] / times[:, 1]):.2f}", f"{peak / 2**30:.2f}"]
        cells += [f"{np.abs(figures[0] - figures[1]).max():.0e}", *(f"{figure:.4f}" for figure in figures[0])]
        print_row([f"{images} × {dim}", *("-" if "nan" in cell else cell for cell in cells)])


def compare_collections(images):
    from gsp_tf.metrics import collection_metrics, retrieval_metrics

    labels = random_labels(images)
    folds = []
    for fold in range(FOLDS):
        base = random_embeddings(labels, MODEL_DIM, seed=fold)
        rng = np.random.default_rng(FOLDS + fold)
        noise = rng.standard_normal((REPEATS, *base.shape), np.float32) * base.std(axis=0) / 2
        folds.append([normalised(base + one) for one in noise])
    bar = tqdm(total=images, desc="collections", leave=False)
    seconds, measured = timed(
        lambda: collection_metrics(folds, labels, progress=lambda finished: bar.update(finished - bar.n))
    )
    bar.close()
    alone, worst = 0.0, 0.0
    for choice, metrics in tqdm(measured, desc="one by one", leave=False):
        joined = np.concatenate([fold[repeat] for fold, repeat in zip(folds, choice, strict=True)], axis=1)
        of_one, expected = timed(retrieval_metrics, joined, labels)
        alone += of_one
        worst = max(worst, *(abs(metrics[name] - expected[name]) for name in expected))
    number = len(measured)
    print(
        f"\n{number} collections of {images} images: {seconds:.1f} s; {number} calls of retrieval_metrics: "
        f"{alone:.1f} s, {alone / seconds:.1f} times as long; largest difference {worst:.0e}."
    )


def print_row(cells):
    tqdm.write("| " + " | ".join(cells) + " |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help=f"{IMAGES} by default, {QUICK_IMAGES} with --quick")
    parser.add_argument("--dims", nargs="+", type=int, help="128 and 512 by default, 128 with --quick")
    parser.add_argument("--rounds", type=int, default=3, help="3 by default")
    parser.add_argument(
        "--collections",
        type=int,
        metavar="N",
        help=f"images of the ensembles, 0 for none; {COLLECTIONS} by default, {QUICK_COLLECTIONS} with --quick",
    )
    parser.add_argument("--quick", action="store_true", help="few images")
    options = parser.parse_args()
    images = (QUICK_IMAGES if options.quick else IMAGES) if options.images is None else options.images
    collections = QUICK_COLLECTIONS if options.quick else COLLECTIONS
    collections = collections if options.collections is None else options.collections
    dims = options.dims or (QUICK_DIMS if options.quick else DIMS)
    for name, value in (("--images", images), ("--collections", collections or 20)):
        if value < 20:
            parser.error(f"{name} must be at least 20; got {value}")
    if options.rounds < 1 or min(dims) < 1:
        parser.error(f"--rounds and --dims must be at least 1; got {options.rounds} and {dims}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])

    # First: a new process counts the memory of the one that starts it as its own.
    peaks = [peak_memory(images, dim) for dim in tqdm(dims, desc="memory", leave=False)]
    peer = load_peer()
    if isinstance(peer, str):
        print(f'The peer is not installed ({peer} is missing): pip install -e ".[benchmark]".')
        peer = None
    print(f"NumPy {np.__version__}, {THREADS} threads, medians of {options.rounds} rounds.\n")
    compare(images, dims, peaks, options.rounds, peer)
    if collections:
        compare_collections(collections)


if __name__ == "__main__":
    main()
