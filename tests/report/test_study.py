import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from gsp_tf.report.study import plot_effects, plot_heat_maps, plot_lines
from gsp_tf.report.study_search import Range, plot_search, surface
from gsp_tf.report.study_table import TrialScore, effects_table, main_effects, trials_table

# Table 5.4 of the thesis: m, mu, epsilon, lambda, C2, PNCA.
SCREENING = [
    (16, 0.3, 0.5, 0.1, 40.63, 40.59), (16, 0.7, 0.5, 0.5, 40.41, 40.34), (128, 0.3, 0.5, 0.5, 40.22, 40.35),
    (128, 0.7, 0.5, 0.1, 40.07, 40.85), (16, 0.3, 20.0, 0.5, 36.11, 40.51), (16, 0.7, 20.0, 0.1, 39.11, 39.88),
    (128, 0.3, 20.0, 0.1, 39.61, 39.12), (128, 0.7, 20.0, 0.5, 35.36, 39.92),
]
LEVELS = {"m": (16, 128), "mu": (0.3, 0.7), "epsilon": (0.5, 20.0), "lambda": (0.1, 0.5)}


def screening(label, column):
    return [TrialScore(label, dict(zip(LEVELS, row, strict=False)), (row[column] / 100,)) for row in SCREENING]


def score(label, mean, spread=0.01, **values):
    return TrialScore(label, values, (mean - spread, mean + spread), (0.5, 0.7), 12.0, f"{label}@{values}")


def boxes(figure):
    """Pairs of a text that is seen and its extent; labels of ticks outside an axis' ends are not."""
    figure.canvas.draw()
    unseen = set()
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            low, high = sorted(axis.get_view_interval())
            unseen |= {label for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
                       if not low <= tick.get_loc() <= high for label in (tick.label1, tick.label2)}
    renderer = figure.canvas.get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer)) for text in figure.findobj(Text)
            if text.get_text().strip() and text.get_visible() and text not in unseen]


def texts(figure):
    return {text for text, _ in boxes(figure)}


def assert_readable(figure):
    """No text is cut at the picture's border, and no two lie over each other."""
    found, page = boxes(figure), figure.bbox
    for text, box in found:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text
    for index, (text, box) in enumerate(found):
        for other, other_box in found[index + 1:]:
            assert not box.overlaps(other_box), (text, other)


def test_main_effects_of_the_published_screening():
    effects = {(effect.label, effect.parameter): 100 * effect.difference
               for effect in main_effects(screening("C2", 4) + screening("PNCA", 5), LEVELS)}
    # By hand: epsilon (36.11 + 39.11 + 39.61 + 35.36) / 4 − (40.63 + 40.41 + 40.22 + 40.07) / 4.
    assert effects["C2", "epsilon"] == pytest.approx(37.5475 - 40.3325)
    assert effects["C2", "lambda"] == pytest.approx(38.025 - 39.855)
    assert effects["C2", "m"] == pytest.approx(38.815 - 39.065)
    assert effects["C2", "mu"] == pytest.approx(38.7375 - 39.1425)
    # As the thesis reads it: epsilon has the most effect, and less of lambda and mu is better.
    assert max(LEVELS, key=lambda name: abs(effects["C2", name])) == "epsilon"
    assert effects["PNCA", "epsilon"] == pytest.approx(39.8575 - 40.5325)


def test_an_effects_error_comes_from_the_repeats_and_needs_them():
    own = [TrialScore("C2", {"a": level}, scores) for level, scores in
           ((0, (0.1, 0.3)), (0, (0.2, 0.4)), (1, (0.5, 0.7)), (1, (0.6, 0.8)))]
    effect, = main_effects([*own, TrialScore("C2", {}, (0.9, 0.9))], {"a": (0, 1)})
    assert effect.difference == pytest.approx(0.4)
    # Every trial has the variance 0.02; the mean of four runs has 0.02 / 4, the difference of two of them twice that.
    assert effect.error == pytest.approx(0.01 ** 0.5)
    single, = main_effects([found._replace(scores=found.scores[:1]) for found in own], {"a": (0, 1)})
    assert single.error is None
    assert effects_table([effect], "csv") == "main effect,C2\na,+40.00 ± 10.00"
    assert effects_table([single._replace(label="PNCA"), effect], "csv") == "main effect,PNCA,C2\na,+40.00,+40.00 ± 10.00"


def test_the_table_is_sorted_by_score_with_baselines_and_published_figures():
    scores = [score("C2", 0.4, mu=0.3), score("C2", 0.6, mu=0.7), score("C2", 0.5)]
    published = {scores[0].name: (0.411, None)}
    assert trials_table(scores, ["mu"], "csv", published).splitlines() == [
        "method,mu,MAP@R,P@1,runs,s a run,published",
        "C2,0.7,60.00 ± 1.41,60.00,2,12,–",
        "C2 (baseline),–,50.00 ± 1.41,60.00,2,12,–",
        "C2,0.3,40.00 ± 1.41,60.00,2,12,41.10",
    ]
    assert "published" not in trials_table(scores, ["mu"])


def test_lines_over_a_parameter_with_bands_and_baselines(tmp_path, drawn):
    values = (0.5, 1.0, 5.0, 20.0)
    scores = [score(label, start - 0.02 * place, epsilon=value) for label, start in (("C2", 0.5), ("PNCA", 0.45))
              for place, value in reversed(list(enumerate(values)))]
    plot_lines([*scores, score("C2", 0.4), score("GMP", 0.3)], "epsilon", tmp_path / "lines.png", "Screening of epsilon",
               shown="{:g}".format)
    assert imread(tmp_path / "lines.png").shape[2] == 4
    figure, = drawn
    assert_readable(figure)
    panel, = figure.axes
    assert panel.get_xscale() == "log"
    first = panel.lines[0]
    np.testing.assert_allclose(first.get_xdata(), values)
    np.testing.assert_allclose(first.get_ydata(), [50, 48, 46, 44])
    band = panel.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(50 + 100 * 0.01 * 2 ** 0.5)
    assert {"C2", "PNCA", "C2 baseline", "GMP baseline", "0.5", "20"} <= texts(figure)
    # A baseline has the colour of its method's line; one of no method has another.
    colors = {line.get_label(): line.get_color() for line in panel.lines}
    assert colors["C2"] == colors["C2 baseline"] != colors["PNCA"] and colors["GMP baseline"] not in (
        colors["C2"], colors["PNCA"])


@pytest.mark.parametrize("values, scale", [((0.1, 0.3, 0.5, 0.7), "linear"), ((16, 32, 64, 128), "log"),
                                           ((0.0, 1.0, 10.0), "linear"), ((1, 100), "log"), ((1, 4), "linear")])
def test_an_axis_is_logarithmic_for_factors_only(tmp_path, drawn, values, scale):
    plot_lines([score("C2", 0.5, x=value) for value in values], "x", tmp_path / "a.png", "x")
    assert drawn[0].axes[0].get_xscale() == scale


def test_named_values_stand_in_a_row(tmp_path, drawn):
    plot_lines([score("C2", mean, ccp=name) for name, mean in (("with", 0.6), ("none", 0.5))], "ccp",
               tmp_path / "a.png", "CCP")
    line = drawn[0].axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), [50, 60])
    assert [text.get_text() for text in drawn[0].axes[0].get_xticklabels()] == ["none", "with"]


def test_lines_for_each_value_of_another_parameter(tmp_path, drawn):
    scores = [score("C2", 0.4 + 0.01 * proxies + 0.005 * pool, pool=pool, proxies=proxies)
              for pool in (1, 4, 12) for proxies in (1, 4) if pool >= proxies]
    plot_lines([*scores, score("C2", 0.4)], "pool", tmp_path / "lines.png", "Proxies and pool", by="proxies")
    assert_readable(drawn[0])
    panel, = drawn[0].axes
    lines = {line.get_label(): list(line.get_xdata()) for line in panel.lines}
    assert lines["proxies = 1"] == [1, 4, 12] and lines["proxies = 4"] == [4, 12] and "C2 baseline" in lines


def test_heat_maps_of_two_parameters(tmp_path, drawn):
    ms, epsilons = (16, 64, 128), (0.5, 5.0)
    means = {("C2", 64, 5.0): 0.6, ("PNCA", 128, 0.5): 0.58}
    scores = [score(label, means.get((label, m, epsilon), 0.5), m=m, epsilon=epsilon)
              for label in ("C2", "PNCA") for epsilon in epsilons for m in ms if (m, epsilon) != (16, 0.5)]
    plot_heat_maps([*scores, score("C2", 0.45)], "m", "epsilon", tmp_path / "map.png", "m and epsilon",
                   shown="{:g}".format)
    figure, = drawn
    assert_readable(figure)
    cells = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    np.testing.assert_allclose(cells, [[np.nan, 50, 50], [50, 60, 50]])
    assert [panel.get_title(loc="left") for panel in figure.axes[:2]] == ["C2, baseline 45.0", "PNCA"]
    frames = [panel.patches[0].get_xy() for panel in figure.axes[:2]]
    assert frames == [(0.5, 0.5), (1.5, -0.5)]
    assert "60.0\n± 1.4" in texts(figure)


def test_main_effects_beside_the_published_ones(tmp_path, drawn):
    own = screening("C2", 4)
    known = [found._replace(label="C2 published", scores=(found.mean + 0.01,)) for found in own]
    plot_effects([*own, *known, TrialScore("C2", {}, (0.3977,))], list(LEVELS), tmp_path / "effects.png", "Screening",
                 shown="{:g}".format)
    figure, = drawn
    assert_readable(figure)
    lines = {line.get_label(): line for line in figure.axes[2].lines}
    np.testing.assert_allclose(lines["C2"].get_ydata(), [40.3325, 37.5475])
    np.testing.assert_allclose(lines["C2 published"].get_ydata(), [41.3325, 38.5475])
    assert lines["C2"].get_color() == lines["C2 published"].get_color() and lines["C2 published"].get_linestyle() == ":"
    np.testing.assert_allclose(lines["C2 baseline"].get_ydata(), 39.77)


@pytest.fixture
def bowl(rng):
    """Scores that are best at weight 1e-3 and 5 proxies."""
    axes = {"weight": Range(1e-6, 1.0, True), "proxies": Range(1, 9)}
    weights, proxies = 10 ** rng.uniform(-6, 0, 40), rng.integers(1, 10, 40)
    return [TrialScore("C2", {"weight": float(w), "proxies": int(p)},
                       (0.5 - 0.01 * (np.log10(w) + 3) ** 2 - 0.005 * (p - 5) ** 2,))
            for w, p in zip(weights, proxies, strict=True)], axes


def test_the_surface_of_a_search_is_highest_where_the_scores_are(bowl):
    scores, axes = bowl
    heights = surface(scores, axes, 41)
    row, column = np.unravel_index(heights.argmax(), heights.shape)
    assert axes["proxies"].values(41)[row] == pytest.approx(5, abs=0.5)
    assert axes["weight"].values(41)[column] == pytest.approx(1e-3, rel=1)
    assert heights.max() == pytest.approx(50, abs=0.5)


def test_the_picture_of_a_search(tmp_path, drawn, bowl):
    scores, axes = bowl
    plot_search([*scores, TrialScore("C2", {}, (0.3,))], axes, tmp_path / "search.png", "Search")
    figure, = drawn
    assert_readable(figure)
    panel = figure.axes[0]
    assert panel.get_xscale() == "log" and panel.get_yscale() == "linear"
    assert panel.get_title(loc="left") == "C2, baseline 30.0, 40 trials"
    best = max(scores, key=lambda found: found.mean)
    star = panel.lines[0]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (best.values["weight"], best.values["proxies"])
    assert any("Gaussian process" in text for text in texts(figure))


def test_few_trials_have_no_surface_and_other_numbers_of_parameters_a_panel_each(tmp_path, drawn, bowl):
    scores, axes = bowl
    plot_search(scores[:3], axes, tmp_path / "few.png", "Few")
    assert not any("Gaussian process" in text for text in texts(drawn[0]))
    one = [found._replace(values={"weight": found.values["weight"]}) for found in scores]
    plot_search(one, {"weight": axes["weight"]}, tmp_path / "one.png", "One")
    assert_readable(drawn[1])
    panel, = drawn[1].axes
    assert panel.get_xscale() == "log" and panel.get_xlabel() == "weight"
