"""How fast images come from files, beside a PyTorch loader of Pillow images, and what training waits for them.

    python benchmarks/input_pipeline.py            the figures: some minutes; needs torch for the peer
    python benchmarks/input_pipeline.py --quick    few images and rounds, to see that it runs; without the peer

Both loaders read the same JPEGs of 500 × 400 pixels, cut a random window, resize it to 227 × 227, mirror half of the
images and give float32 batches in [0, 1], on the same cores and with the same number of workers: ours so many calls at
a time, PyTorch's so many processes. Ours is ``ImageDataset``. The peer decodes with Pillow, cuts and resizes in one
call of Pillow's, and makes tensors as torchvision's ``ToTensor`` does, in PyTorch's ``DataLoader``; its windows come
from the same distribution. Both resize bilinearly; Pillow always antialiases, ours where a side shrinks to half or
less. A round times both, in random order, and ratios are taken within a round, so that whatever else the machine does
falls on both alike; the figures are medians over the rounds. What a loader has made before its turn is not counted.

Then a small convolutional network trains on these batches, and the time that it waits for the next one is compared with
the whole.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402
from tensorflow import keras  # noqa: E402

from gsp_tf.data.augmentation import Augmentation  # noqa: E402
from gsp_tf.data.image_dataset import ImageDataset  # noqa: E402
from gsp_tf.data.labelled_images import LabelledImages  # noqa: E402

HEIGHT, WIDTH, QUALITY = 400, 500, 90
CLASSES, CLASSES_PER_BATCH, SAMPLES_PER_CLASS = 16, 8, 4
BATCH = CLASSES_PER_BATCH * SAMPLES_PER_CLASS
SETTINGS = Augmentation()
PEER = "PyTorch + Pillow"


def write_jpegs(folder, count):
    """Pictures with large shapes, edges and some noise, about as large as photographs of this size: 60 to 80 kB."""
    rng = np.random.default_rng(0)
    paths = np.empty(count, object)
    for index in range(count):
        shapes = Image.fromarray(rng.integers(0, 256, (32, 40, 3)).astype(np.uint8)).resize((WIDTH, HEIGHT))
        pixels = np.asarray(shapes) + rng.normal(0, 5, (HEIGHT, WIDTH, 3))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
        paths[index] = folder / f"{index}.jpg"
        paths[index].write_bytes(buffer.getvalue())
    return LabelledImages(paths, np.arange(count) % CLASSES, tuple(map(str, range(CLASSES))))


def our_batches(images, workers):
    dataset = ImageDataset(images, SETTINGS, parallel_calls=workers)
    return (batch for batch, _ in dataset.training_batches(CLASSES_PER_BATCH, SAMPLES_PER_CLASS, seed=0))


class PillowFiles:
    """What PyTorch's loader asks for images one by one."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        import torch

        with Image.open(self.paths[index]) as image:
            image = image.convert("RGB")
        ratio = np.exp(np.random.uniform(*np.log(SETTINGS.ratio)))
        stretch = max(ratio, 1 / ratio) ** 0.5
        area = np.random.uniform((SETTINGS.min_side * stretch) ** 2, (SETTINGS.resize / stretch) ** 2)
        scale = min(image.size) / SETTINGS.resize
        width, height = round(scale * (area * ratio) ** 0.5), round(scale * (area / ratio) ** 0.5)
        left = np.random.randint(image.width - width + 1)
        top = np.random.randint(image.height - height + 1)
        image = image.resize(
            (SETTINGS.crop, SETTINGS.crop), Image.Resampling.BILINEAR, (left, top, left + width, top + height)
        )
        if np.random.random() < SETTINGS.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)


def peer_batches(images, workers):
    """Batches of PyTorch's loader, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    files = PillowFiles(images.images)
    sampler = torch.utils.data.RandomSampler(files, replacement=True, num_samples=10**9)
    # Copies of a process whose TensorFlow has threads may hang, so the workers are processes of their own.
    return iter(torch.utils.data.DataLoader(
        files, BATCH, sampler=sampler, num_workers=workers, multiprocessing_context="spawn"
    ))


def images_per_second(batches, count):
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * BATCH / (time.perf_counter() - start)


def compare(images, workers, rounds, batches_per_round, without_peer):
    """Images a second in every round: a dict of (rounds,) arrays."""
    loaders = {"gsp_tf": our_batches(images, workers), PEER: None if without_peer else peer_batches(images, workers)}
    loaders = {name: batches for name, batches in loaders.items() if batches is not None}
    rng = np.random.default_rng(0)
    speeds = {name: [] for name in loaders}
    for number in range(-1, rounds):
        for name in rng.permutation(list(loaders)):
            # The other's workers fill its queues and rest; then this one's, made meanwhile, are emptied.
            time.sleep(1)
            for _ in range(2 * workers + 2):
                next(loaders[name])
            speed = images_per_second(loaders[name], batches_per_round)
            if number >= 0:
                speeds[name].append(speed)
    return {name: np.array(values) for name, values in speeds.items()}


def waiting_share(images, workers, steps):
    """Share of training's time that passes until the next batch is there, and seconds a step."""
    network = keras.Sequential([
        keras.Input((SETTINGS.crop, SETTINGS.crop, 3)),
        keras.layers.Conv2D(16, 7, strides=4, activation="relu"),
        keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
        keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(64),
    ])
    optimizer = keras.optimizers.Adam()
    optimizer.build(network.trainable_variables)

    @tf.function
    def train_step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(network(batch, training=True) ** 2)
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    batches = our_batches(images, workers)
    for _ in range(3):
        float(train_step(next(batches)))
    waited, begin = 0.0, time.perf_counter()
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - start
        float(train_step(batch))
    total = time.perf_counter() - begin
    return waited / total, total / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="12 by default, 2 with --quick")
    parser.add_argument("--workers", type=int, default=2, help="of either loader, and cores where the system allows: 2")
    parser.add_argument("--quick", action="store_true", help="few images, rounds and steps; without the peer")
    options = parser.parse_args()
    if options.workers < 1 or (options.rounds is not None and options.rounds < 1):
        parser.error("--workers and --rounds must be at least 1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.workers])
    count, batches, steps = (32, 2, 4) if options.quick else (512, 24, 40)
    rounds = options.rounds or (2 if options.quick else 12)
    with tempfile.TemporaryDirectory() as folder:
        images = write_jpegs(Path(folder), count)
        size = np.mean([path.stat().st_size for path in images.images])
        print(
            f"TensorFlow {tf.__version__}, {options.workers} workers; {count} JPEGs of {WIDTH} × {HEIGHT} pixels, "
            f"{size / 1000:.0f} kB on average; batches of {BATCH} × {SETTINGS.crop} × {SETTINGS.crop}; {rounds} rounds"
        )
        speeds = compare(images, options.workers, rounds, batches, options.quick)
        for name, values in speeds.items():
            print(f"{name:17} {np.median(values):6.0f} images/s (quartiles {np.quantile(values, 0.25):.0f} to "
                  f"{np.quantile(values, 0.75):.0f})")
        if len(speeds) == 2:
            ours, peer = speeds.values()
            print(f"{'ratio':17} {np.median(ours / peer):6.2f}")
        else:
            reason = "--quick leaves it out" if options.quick else "torch is not installed (the extra benchmark has it)"
            print(f"{PEER:17} not measured: {reason}")
        share, seconds = waiting_share(images, options.workers, steps)
        print(f"training a small network on the same cores: {1e3 * seconds:.0f} ms a step, {100 * share:.0f} % of it "
              "waiting for images")


if __name__ == "__main__":
    main()
