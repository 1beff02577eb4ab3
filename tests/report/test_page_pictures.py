import base64
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import colormaps

from gsp_tf.report.embedding_map import CLASSES, POINTS, _spots, embedding_map
from gsp_tf.report.learning_curves import learning_curves
from gsp_tf.report.page_svg import PALETTE, inline_svg, new_panel
from gsp_tf.report.page_thumbnail import SHOWN, data_uri
from gsp_tf.report.prototype_usage import prototype_usage
from gsp_tf.report.retrieval_sheet import retrieval_sheet
from gsp_tf.training.thumbnails import shrink


def decoded(uri):
    head, _, data = uri.partition(",")
    return head, tf.io.decode_image(base64.b64decode(data)).numpy()


class Part:
    """Images whose one pixel is their number, so that a sheet tells which it shows."""

    def __init__(self, labels, first=0, gallery=None):
        self.labels = np.asarray(labels, np.int32)
        self.class_names = tuple(f"class {label}" for label in range(self.labels.max() + 1))
        self.first, self.gallery = first, gallery

    def evaluation_images(self, indices):
        numbers = (self.first + np.asarray(indices)) / 255
        return np.broadcast_to(numbers[:, None, None, None], (len(numbers), 2, 2, 1)).astype(np.float32)


def number_of(uri):
    return int(decoded(uri)[1][0, 0, 0])


def found_of(embeddings, part, references=None):
    return {"embeddings": embeddings, "labels": part.labels, "references": references,
            "reference_labels": None if references is None else part.gallery.labels}


def test_neighbours_are_the_nearest(rng):
    part = Part(rng.integers(0, 10, size=60))
    embeddings = rng.normal(size=(60, 3))
    sheet = retrieval_sheet(found_of(embeddings, part), part)
    distances = np.square(embeddings[:, None] - embeddings).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argsort(axis=1)[:, :6]
    hits = part.labels[nearest[:, 0]] == part.labels
    assert (sheet.right, sheet.looked_at, sheet.gallery) == (hits.sum(), 60, False)
    assert len(sheet.good) == len(sheet.failed) == 4
    for queries, first in ((sheet.good, True), (sheet.failed, False)):
        classes = len(set(part.labels[hits == first]))
        assert len({query.image.name for query in queries}) == min(4, classes) and classes > 2
        for query in queries:
            row = number_of(query.image.uri)
            assert query.image.name == f"class {part.labels[row]}" and hits[row] == first
            assert query.to_find == (part.labels == part.labels[row]).sum() - 1
            assert [number_of(shown.uri) for shown in query.neighbours] == nearest[row].tolist()
            assert [shown.right for shown in query.neighbours] == (part.labels[nearest[row]] == part.labels[row]).tolist()


def test_neighbours_come_from_the_gallery_and_lonely_queries_are_left_out(rng):
    gallery = Part([0, 0, 1, 1, 2, 2, 2], first=100)
    part = Part([0, 1, 2, 3], gallery=gallery)
    embeddings, references = rng.normal(size=(4, 2)), rng.normal(size=(7, 2))
    sheet = retrieval_sheet(found_of(embeddings, part, references), part)
    nearest = np.square(embeddings[:, None] - references).sum(axis=2).argsort(axis=1)[:, :6]
    assert sheet.gallery and sheet.looked_at == 3
    queries = [*sheet.good, *sheet.failed]
    assert sorted(query.image.name for query in queries) == ["class 0", "class 1", "class 2"]
    for query in queries:
        row = number_of(query.image.uri)
        assert [number_of(shown.uri) - 100 for shown in query.neighbours] == nearest[row].tolist()
        assert query.to_find == [2, 2, 3][row]


def test_where_nothing_fails_all_queries_are_good_ones():
    part = Part(np.repeat(np.arange(3), 4))
    sheet = retrieval_sheet(found_of(10.0 * part.labels[:, None], part), part)
    assert sheet.failed == [] and sheet.right == 12
    counts = {name: sum(query.image.name == name for query in sheet.good) for name in part.class_names}
    assert sum(counts.values()) == 8 and max(counts.values()) - min(counts.values()) <= 1


def test_large_parts_are_sampled(rng):
    part = Part(np.repeat(np.arange(50), 50))
    part.evaluation_images = lambda indices: np.zeros((len(indices), 2, 2, 1), np.float32)
    sheet = retrieval_sheet(found_of(rng.normal(size=(2500, 2)), part), part)
    assert sheet.looked_at == 2000 and len(sheet.good) == len(sheet.failed) == 4


def test_usage_is_sorted_and_strips_are_the_classes(rng):
    histograms = rng.dirichlet(np.ones(5), size=40) * [1, 2, 3, 4, 0.1]
    histograms /= histograms.sum(axis=1, keepdims=True)
    labels = np.repeat([0, 2, 3, 1], 10)
    usage = prototype_usage(histograms, labels, ("a", "b", "c", "d"), "usage")
    order = np.argsort(-histograms.mean(axis=0))
    assert order.tolist() == [3, 2, 1, 0, 4] and (usage.images, usage.classes) == (40, 4)
    assert f"the most used has {100 * histograms.mean(axis=0).max():.1f} %" in usage.alt
    means = np.stack([histograms[labels == label].mean(axis=0) for label in range(4)])[:, order]
    assert usage.top == means.max() and [name for name, _, _ in usage.rows] == ["a", "b", "c", "d"]
    for (_, strip, share), mean in zip(usage.rows, means, strict=True):
        head, pixels = decoded(strip)
        assert head == "data:image/png;base64" and pixels.shape == (1, 5, 3) and share == mean.max()
        expected = 255 * colormaps["magma"](np.sqrt(mean / means.max()))[:, :3]
        np.testing.assert_allclose(pixels[0], expected, atol=0.51)


def test_a_map_of_many_classes_colors_some_and_says_so(rng, monkeypatch):
    # Which takes a dozen seconds for so many points.
    monkeypatch.setattr("gsp_tf.report.embedding_map._tsne", lambda points, start: start)
    labels = np.repeat(np.arange(30), 100)
    made = embedding_map(rng.normal(size=(3000, 4)), labels, [str(label) for label in range(30)], "m")
    assert made.points == POINTS and made.images == 3000 and made.others == 30 - CLASSES
    assert [entry.name for entry in made.legend][::19] == ["0", "29"] and len(made.legend) == CLASSES
    looks = {(entry.color, entry.sign) for entry in made.legend}
    assert len(looks) == CLASSES
    assert [title.partition(":")[0] for title, _, _ in made.maps] == ["PCA", "t-SNE"]
    for _, svg, alt in made.maps:
        assert all(f">{number}</text>" in svg for number in range(1, CLASSES + 1))
        assert "2000 embeddings, 20 classes with colours, the others grey" in alt


def test_a_map_is_the_same_every_time(rng):
    embeddings, labels = rng.normal(size=(40, 6)), np.arange(40) % 4
    first, second = (embedding_map(embeddings, labels, "abcd", "m") for _ in range(2))
    assert first == second and first.others == 0 and first.points == 40


@pytest.mark.parametrize("embeddings", [np.ones((9, 4)), np.arange(9.0)[:, None], np.eye(3)], ids=["same", "1-D", "three"])
@pytest.mark.filterwarnings("error")
def test_a_map_of_next_to_nothing(embeddings):
    made = embedding_map(embeddings, np.arange(len(embeddings)) % 3, "abc", "m")
    assert made.points == len(embeddings) and len(made.legend) == 3


def test_two_images_are_no_map():
    assert embedding_map(np.eye(2), np.arange(2), "ab", "m") is None


def test_numbers_on_a_map_do_not_cover_each_other():
    places = np.concatenate([np.zeros((20, 2)), [[10.0, 10.0]]])
    spots = _spots(places, np.append(np.arange(20), 0), np.arange(20)) / 10
    gaps = np.linalg.norm(spots[:, None] - spots, axis=2) + np.eye(20)
    assert gaps.min() > 0.05


def result(fold, repeat, seed=0, scores=(0.2, 0.6, 0.5, 0.55)):
    rows = [{"step": 5 * step, "loss": 1 / step, "val_MAP@R": score, "val_P@1": score + 0.1}
            for step, score in enumerate(scores, start=1)]
    return {"fold": fold, "repeat": repeat, "seed": seed, "best_step": 10, "evaluations": rows}


def test_every_run_has_a_line_of_its_own():
    runs = [result(fold, repeat) for fold in range(4) for repeat in range(3)]
    curves, lines = learning_curves(runs, 5, "m")
    assert [curve.title for curve in curves] == ["training loss", "validation MAP@R (%)", "validation P@1 (%)"]
    assert len({(line.color, line.dashes) for line in lines}) == 12
    assert [line.best for line in lines].index(True) == 5 and lines[5].label == "fold 1 repeat 2"
    assert {line.color for line in lines} == set(PALETTE[:4])
    assert "12 runs" in curves[1].alt and "it is 60 to 60" in curves[1].alt
    assert all(curve.svg.count(f"stroke: {PALETTE[3]}") == 3 for curve in curves)


def test_seeds_beyond_the_colors_have_dashes():
    _, lines = learning_curves([result(None, seed, seed) for seed in range(12)], 0, "m")
    assert len({(line.color, line.dashes) for line in lines}) == 12 and lines[11].label == "seed 11"


def test_one_evaluation_is_seen():
    curves, _ = learning_curves([{**result(None, 0), "best_step": 5, "evaluations": result(0, 0)["evaluations"][:1]}], 0, "m")
    assert "at the chosen step it is 20" in curves[1].alt


def test_pictures_share_no_ids():
    def drawn(name):
        figure, axes = new_panel(3, 2)
        axes.plot([0, 1], [0, 1], marker="o")
        return inline_svg(figure, name)

    first, second = drawn("a"), drawn("b")
    ids = [{part.partition('"')[0] for part in svg.split('id="')[1:]} for svg in (first, second)]
    assert ids[0] and not ids[0] & ids[1] and drawn("a") == first
    assert "currentColor" in first and "#010203" not in first and first.startswith("<svg") and "width=" not in first[:200]


@pytest.mark.parametrize("size, kind", [(32, "png"), (64, "png"), (100, "jpeg"), (227, "jpeg")])
def test_small_images_keep_every_pixel_and_large_ones_shrink(rng, size, kind):
    image = rng.uniform(size=(1, size, size, 3)).astype(np.float32)
    small = shrink(image, SHOWN)
    head, pixels = decoded(data_uri(small[0]))
    assert head == f"data:image/{kind};base64" and pixels.shape == (min(size, 144), min(size, 144), 3)
    if kind == "png":
        np.testing.assert_allclose(pixels, 255 * image[0], atol=0.51)


def test_tokens_have_no_weight_maps():
    from gsp_tf.report.weight_maps import weight_maps

    output = {"weights": SimpleNamespace(shape=(None, 49))}
    assert weight_maps(SimpleNamespace(output=output), None) is None


def test_an_image_alone_in_its_class_is_no_query():
    part = Part([0, 0, 1])
    sheet = retrieval_sheet(found_of(np.array([[0.0], [1.0], [0.4]]), part), part)
    assert sheet.looked_at == 2 and {query.image.name for query in sheet.failed} == {"class 0"}
