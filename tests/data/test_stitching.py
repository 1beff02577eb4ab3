import numpy as np
import pytest

from gsp_tf.data.stitching import add_noise, draw_cells, sample_categories, split_combinations, stitch


def test_cells_are_stitched_row_by_row():
    cells = np.arange(2 * 6 * 2 * 3, dtype=np.float32).reshape(2, 6, 2, 3)
    images = stitch(cells, rows=2)
    assert images.shape == (2, 4, 9, 1)
    for sample in range(2):
        for row in range(2):
            for column in range(3):
                cell = images[sample, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3, 0]
                np.testing.assert_array_equal(cell, cells[sample, 3 * row + column])


def test_every_image_of_a_digit_is_drawn_equally_often():
    digits = np.array([0, 3, 3, 3, 9])
    images = np.arange(5, dtype=np.float32).reshape(5, 1, 1)
    drawn = draw_cells(np.full((300, 100), 3), images, digits, np.random.default_rng(0)).reshape(-1)
    shares = np.bincount(drawn.astype(int), minlength=5) / len(drawn)
    # Three standard deviations of a share over 30,000 draws.
    assert shares == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0], abs=0.009)


def test_categories_follow_the_proportions_of_their_row():
    proportions = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    drawn = sample_categories(proportions, 20000, np.random.default_rng(0))
    shares = np.stack([np.bincount(row, minlength=3) for row in drawn]) / 20000
    assert shares == pytest.approx(proportions, abs=0.012)


def test_split_is_disjoint_and_complete():
    combinations = [(index,) for index in range(10)]
    parts = [split_combinations(combinations, (5, 2, 3), part) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [5, 2, 3]
    assert sorted(sum(parts, [])) == combinations


def test_noise_has_its_standard_deviation_and_stays_in_range():
    grey = np.full((40, 50, 50, 1), 0.5, np.float32)
    noisy = add_noise(grey, 0.1, np.random.default_rng(0))
    assert noisy.dtype == np.float32
    assert noisy.std() == pytest.approx(0.1, abs=0.002) and noisy.mean() == pytest.approx(0.5, abs=0.002)
    loud = add_noise(grey, 5.0, np.random.default_rng(0))
    assert loud.min() == 0.0 and loud.max() == 1.0
    np.testing.assert_array_equal(add_noise(grey, 0.0, np.random.default_rng(0)), grey)
