import csv
import re
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector import ProjectorConfig
from tensorboard.util import tensor_util
from tensorflow import keras

from gsp_tf.pooling import GSPLayer
from gsp_tf.training.build import build_dataset
from gsp_tf.training.embedding import embed_dataset
from gsp_tf.training.run import load_embedder, load_run
from gsp_tf.training.tensorboard_images import TensorBoardImages, _spread, _sprite
from gsp_tf.training.weight_overlay import brightest, relative_weights, weight_overlay

TAG = "pooling weights"


class Watched:
    """A data set that says which of its images were asked for."""

    def __init__(self, dataset):
        self.dataset, self.asked = dataset, []
        self.labels, self.class_names = dataset.labels, dataset.class_names

    def evaluation_images(self, indices):
        self.asked.append(list(indices))
        return self.dataset.evaluation_images(indices)


@pytest.fixture(params=["GAP", "GSP+ZSR"])
def run(request, trained_job):
    folder = trained_job / request.param / "seed_0"
    config, _ = load_run(folder)
    return load_embedder(folder), Watched(build_dataset(config, "validation"))


@pytest.fixture
def gsp(trained_job):
    folder = trained_job / "GSP+ZSR" / "seed_0"
    return load_embedder(folder), Watched(build_dataset(load_run(folder)[0], "validation"))


def fit(callback, embedder, epochs, initial_epoch=0):
    """Epochs of a model that trains nothing, so that the pictures can be known."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.embedder = embedder
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 1)), np.zeros((2, 1)), epochs=epochs, initial_epoch=initial_epoch, verbose=0,
              callbacks=[callback])


def events(directory):
    """Steps of the summaries with their pictures, over all event files of a folder."""
    found = EventAccumulator(str(directory), size_guidance={"tensors": 0}).Reload()
    if TAG not in found.Tags()["tensors"]:
        return {}
    values = found.Tensors(TAG)
    # What comes before the pictures is their width and height.
    return {event.step: [tf.io.decode_png(png).numpy() for png in tensor_util.make_ndarray(event.tensor_proto)[2:]]
            for event in values}


def test_weights_are_drawn_after_every_epoch(gsp, tmp_path):
    embedder, dataset = gsp
    fit(TensorBoardImages(tmp_path, dataset), embedder, epochs=3)
    found = events(tmp_path)
    assert list(found) == [0, 1, 2]
    chosen, = dataset.asked
    assert len(chosen) == 4 and len(set(dataset.labels[chosen])) == 4
    images = dataset.dataset.evaluation_images(chosen)
    weights = relative_weights(embedder(images)["weights"])
    overlays = weight_overlay(images, weights, brightest(weights))
    for picture, image, overlay in zip(found[2], images, overlays, strict=True):
        assert picture.shape == (96, 192, 3)
        shown = np.concatenate([np.repeat(image, 3, axis=2), overlay], axis=1)
        np.testing.assert_allclose(picture[::3, ::3] / 255, shown, atol=1 / 255 + 1e-6)


def test_the_weights_are_those_of_the_epoch(gsp, tmp_path):
    embedder, dataset = gsp
    callback = TensorBoardImages(tmp_path, dataset)
    pool = next(layer for layer in embedder.layers if isinstance(layer, GSPLayer))
    change = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: pool.mu.assign([1.0, 0.3][epoch]))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.embedder = embedder
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 1)), np.zeros((2, 1)), epochs=2, verbose=0, callbacks=[change, callback])
    average, chosen = (events(tmp_path)[epoch][0][:, 96:].astype(int) for epoch in (0, 1))
    assert np.abs(average - chosen).max() > 40


def test_a_run_that_goes_on_adds_to_what_is_there(gsp, tmp_path):
    embedder, dataset = gsp
    fit(TensorBoardImages(tmp_path, dataset), embedder, epochs=2)
    fit(TensorBoardImages(tmp_path, dataset), embedder, epochs=4, initial_epoch=2)
    assert sorted(events(tmp_path)) == [0, 1, 2, 3] and len(list(tmp_path.glob("events*"))) == 2
    assert dataset.asked[0] == dataset.asked[1]


def test_without_weights_nothing_is_drawn_or_read(trained_job, tmp_path):
    folder = trained_job / "GAP" / "seed_0"
    dataset = Watched(build_dataset(load_run(folder)[0], "validation"))
    fit(TensorBoardImages(tmp_path / "images", dataset), load_embedder(folder), epochs=2)
    assert not (tmp_path / "images").exists() and dataset.asked == []


def test_tokens_have_no_places(tmp_path):
    tokens = keras.Input((5, 3))
    pooled, weights = GSPLayer(2)(tokens, return_weights=True)
    embedder = keras.Model(tokens, {"embedding": pooled, "weights": weights})
    dataset = SimpleNamespace(labels=np.zeros(4, int), class_names=("a",))
    fit(TensorBoardImages(tmp_path / "images", dataset), embedder, epochs=1)
    assert not (tmp_path / "images").exists()


def test_the_projector_s_files(run, tmp_path):
    embedder, dataset = run
    TensorBoardImages(tmp_path, dataset).write_projector(embedder)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    shown, = config.embeddings
    embeddings = np.loadtxt(tmp_path / shown.tensor_path, delimiter="\t")
    # No more than 1000, so all; in the order of the labels, which is that of the data set.
    np.testing.assert_allclose(embeddings, embed_dataset(embedder, dataset.dataset), atol=1e-5)
    assert list(shown.tensor_shape) == list(embeddings.shape) == [32, 8]
    with open(tmp_path / shown.metadata_path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    names = np.array(dataset.class_names)[dataset.labels]
    assert rows == [["class", "image"], *([name, str(index)] for index, name in enumerate(names))]
    width, height = shown.sprite.single_image_dim
    sprite = tf.io.decode_png(tf.io.read_file(str(tmp_path / shown.sprite.image_path))).numpy()
    assert sprite.shape[:2] == (6 * height, 6 * width)
    # TensorBoard takes a folder for a run only if there are events in it.
    assert len(list(tmp_path.glob("events*"))) == 1
    assert not list(tmp_path.glob(".partial*")) and max(map(len, dataset.asked)) <= 64


def test_points_are_bounded_and_from_all_over(gsp, tmp_path):
    embedder, dataset = gsp
    TensorBoardImages(tmp_path, dataset, points=10).write_projector(embedder)
    rows = (tmp_path / "metadata.tsv").read_text().splitlines()[1:]
    assert len(rows) == 10 and len({row.split("\t")[0] for row in rows}) == 8
    assert len((tmp_path / "embedding.tsv").read_text().splitlines()) == 10


def test_names_cannot_break_the_table(gsp, tmp_path):
    embedder, dataset = gsp
    dataset.class_names = tuple(f"a\tb\nc {index}" for index in range(len(dataset.class_names)))
    TensorBoardImages(tmp_path, dataset).write_projector(embedder)
    rows = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert len(rows) == 33 and all(re.fullmatch(r"a b c \d\t\d+", row) for row in rows[1:])


def test_images_are_spread_over_classes_whatever_their_order(rng):
    labels = rng.permutation(np.repeat(np.arange(12), 5))
    chosen = _spread(labels, 6)
    assert len(set(labels[chosen])) == 6 and labels[chosen[0]] == 0 and labels[chosen[-1]] == 11
    assert sorted(_spread(labels, 100)) == list(range(60))


@pytest.mark.parametrize("count", [1, 5, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sprite_is_read_row_by_row(rng, count, channels):
    tiles = rng.integers(0, 256, size=(count, 4, 4, channels))
    sheet = _sprite(tiles / 255)
    rows = int(np.ceil(np.sqrt(count)))
    assert sheet.shape == (4 * rows, 4 * rows, channels) and sheet.dtype == np.uint8
    for index in range(count):
        row, column = divmod(index, rows)
        np.testing.assert_array_equal(sheet[4 * row:4 * row + 4, 4 * column:4 * column + 4], tiles[index])


def test_photographs_are_shrunk(tmp_path):
    images = keras.Input((128, 128, 3))
    pooled, weights = GSPLayer(2)(keras.layers.AveragePooling2D(32)(images), return_weights=True)
    embedder = keras.Model(images, {"embedding": pooled, "weights": weights})
    dataset = SimpleNamespace(labels=np.arange(5), class_names="abcde",
                              evaluation_images=lambda indices: np.full((len(indices), 128, 128, 3), 0.5, np.float32))
    fit(TensorBoardImages(tmp_path, dataset, images=3), embedder, epochs=1)
    assert [picture.shape for picture in events(tmp_path)[0]] == [(96, 192, 3)] * 3
