import numpy as np
import pytest

from gsp_tf.data import PARTS, DigitsMixture
from tests.data.cells import source_cells


@pytest.mark.parametrize(("part", "num_classes"), [("train", 22), ("validation", 8), ("test", 12)])
def test_classes_are_both_orders_of_each_pair(part, num_classes):
    dataset = DigitsMixture(part)
    assert dataset.num_classes == num_classes and dataset.image_shape == (32, 32, 1)
    assert {(b, a) for a, b in dataset.classes} == set(dataset.classes)
    assert all(a != b and {a, b} <= set(range(1, 8)) for a, b in dataset.classes)
    assert dataset.class_names == tuple(f"{a}:{b}" for a, b in dataset.classes)


@pytest.mark.parametrize("part", PARTS)
def test_composition_of_every_image(part):
    dataset = DigitsMixture(part)
    images, labels = dataset.images_and_labels()
    indices, digits = source_cells(images)
    assert indices.min() >= 0
    for label, cells in zip(labels, digits, strict=True):
        a, b = dataset.classes[label]
        count_a, count_b = int((cells == a).sum()), int((cells == b).sum())
        class_cells = count_a + count_b
        assert 3 <= class_cells <= 13
        assert count_a == round(0.67 * class_cells) and count_b >= 1
        assert np.isin(cells[(cells != a) & (cells != b)], (0, 8, 9)).all()


def many_cells(background=(0, 8, 9)):
    dataset = DigitsMixture("train", background=background)
    label = dataset.class_names.index("2:5")
    return source_cells(dataset.draw(np.full(4000, label), np.random.default_rng(0)))[1]


def test_number_of_class_cells_is_normal_and_clipped():
    class_cells = np.isin(many_cells(), (2, 5)).sum(axis=1)
    # round(16 N(0.4, 0.1)): mean 6.4, variance 1.6^2 + 1/12; clipping at 3 and 13 moves neither by 0.02.
    assert class_cells.mean() == pytest.approx(6.4, abs=0.1)
    assert class_cells.std() == pytest.approx(np.sqrt(1.6**2 + 1 / 12), abs=0.08)
    assert class_cells.min() == 3 and class_cells.max() > 10


def test_background_proportions_are_drawn_for_each_image():
    cells = many_cells()
    shares = np.stack([(cells == digit).sum(axis=1) for digit in (0, 8, 9)], axis=1)
    totals = shares.sum(axis=1)
    shares = shares / totals[:, None]
    assert shares.mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.02)
    # Dirichlet(0.5) of three has variance (1/3)(2/3)/(1 + 1.5); counting n cells leaves variance/n of a cell
    # more.
    between = (1 / 3) * (2 / 3) / 2.5
    within = ((1 / 3) * (2 / 3) - between) * np.mean(1 / totals)
    assert shares.var(axis=0) == pytest.approx([between + within] * 3, rel=0.08)


def test_places_are_random():
    in_place = np.isin(many_cells(), (2, 5)).mean(axis=0)
    # Four standard deviations of a share of 0.4 over 4,000 images.
    assert in_place == pytest.approx([0.4] * 16, abs=0.031)
