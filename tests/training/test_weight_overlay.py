import numpy as np
import pytest
from matplotlib import colormaps

from gsp_tf.training.weight_overlay import brightest, relative_weights, weight_overlay


def test_weights_are_relative_to_the_average_s():
    uniform = np.full((2, 4, 5), 1 / 20)
    np.testing.assert_allclose(relative_weights(uniform), 1, rtol=1e-6)
    assert brightest(relative_weights(uniform)) == 2
    assert brightest(np.full((1, 2, 2), 3.25)) == 3.25


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 10])
def test_every_place_has_its_colour(rng, size, channels):
    images = rng.uniform(size=(2, size, size, channels))
    weights = rng.uniform(0, 4, size=(2, 4, 4))
    overlay = weight_overlay(images, weights, 4.0)
    assert overlay.shape == (2, size, size, 3) and overlay.dtype == np.float32
    for image in range(2):
        for row in range(size):
            for column in range(size):
                weight = weights[image, int(row * 4 / size), int(column * 4 / size)]
                expected = 0.4 * images[image, row, column].mean() + 0.6 * np.array(colormaps["magma"](weight / 4)[:3])
                np.testing.assert_allclose(overlay[image, row, column], expected, atol=1e-6)
