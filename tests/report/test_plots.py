import numpy as np
import pytest
from matplotlib.image import imread

from gsp_tf.protocols.summary import METRICS, MethodSummary
from gsp_tf.report.plots import choose_examples, plot_scores, plot_weight_maps


def summary(method, score, std, seeds):
    return MethodSummary(method, seeds, dict.fromkeys(METRICS, score), dict.fromkeys(METRICS, std), 1.0)


def boxes(figure):
    """Extents in pixels of every visible text that says something."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [text for text in figure.findobj(lambda item: hasattr(item, "get_text")) if text.get_text().strip()]
    return {text.get_text(): text.get_window_extent(renderer) for text in texts if text.get_visible()}


def assert_readable(figure):
    """No text is cut at the picture's border, and no two lie over each other."""
    found = boxes(figure)
    page = figure.bbox
    for text, box in found.items():
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text
    items = list(found.items())
    for index, (text, box) in enumerate(items):
        for other, other_box in items[index + 1:]:
            assert not box.overlaps(other_box), (text, other)


def assert_is_png(path):
    pixels = imread(path)
    assert pixels.shape[0] > 100 and pixels.shape[1] > 300 and np.ptp(pixels[..., :3]) > 0.5
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("seeds, std, label", [
    (1, None, "test MAP@R (%), one seed"), (5, 0.02, "test MAP@R (%), mean ± std of 5 seeds"),
])
def test_scores(tmp_path, drawn, seeds, std, label):
    summaries = [summary("GAP", 0.83, std, seeds), summary("GMP+GSP", 0.4, std, seeds), summary("GSP", 1.0, std, seeds)]
    plot_scores(summaries, tmp_path / "scores.png", "Digits Mixture: unseen classes")
    assert_is_png(tmp_path / "scores.png")
    figure, = drawn
    assert_readable(figure)
    assert {"83.0", "40.0", "100.0", "GAP", "GMP+GSP", "GSP", label} <= set(boxes(figure))
    assert [bar.get_width() for bar in figure.axes[0].patches] == [83, 40, 100]
    assert len(figure.axes[0].collections) == (1 if std else 0)


def test_unequal_numbers_of_seeds_are_said(tmp_path, drawn):
    plot_scores([summary("GAP", 0.8, 0.1, 3), summary("GSP", 0.9, None, 1)], tmp_path / "scores.png", "title")
    assert "test MAP@R (%), mean ± std of 1 to 3 seeds" in boxes(drawn[0])


@pytest.mark.parametrize("count, methods, channels", [(6, 3, 1), (6, 1, 3), (3, 2, 1)])
def test_weight_maps(tmp_path, drawn, rng, count, methods, channels):
    images = rng.uniform(size=(count, 32, 32, channels))
    raw = rng.uniform(size=(methods, count, 8, 8))
    maps = {f"GSP{index}": values / values.sum(axis=(1, 2), keepdims=True) for index, values in enumerate(raw)}
    names = [f"{index}:7" for index in range(count)]
    plot_weight_maps(images, names, maps, tmp_path / "maps.png", "Digits Mixture: what pooling keeps")
    assert_is_png(tmp_path / "maps.png")
    figure, = drawn
    assert_readable(figure)
    assert {"image", *names, *maps, "weight relative to average pooling"} <= set(boxes(figure))
    # The first map is drawn as n·p, all maps on one scale from 0.
    first = figure.axes[count].images[0]
    np.testing.assert_allclose(first.get_array(), 64 * maps["GSP0"][0])
    top = max(64 * values.max() for values in maps.values())
    assert first.get_clim() == (0, pytest.approx(top))


def test_examples_are_of_classes_from_all_over():
    labels = np.repeat(np.arange(12), 5)
    assert choose_examples(labels, 6) == [0, 10, 20, 35, 45, 55]
    assert choose_examples(labels, 1) == [0]
    assert choose_examples(np.array([4, 4, 2]), 6) == [2, 0]
