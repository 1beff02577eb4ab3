import functools

import numpy as np
import pytest

from gsp_tf.losses.proxy_nca import ProxyNCALoss
from tests.losses.proxy_batches import CLASSES, DIM, LABELS, assert_equals_reference, batch
from tests.reference.proxy_losses import proxy_nca


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("temperature,normalize", [(0.11, True), (1.5, False)])
def test_value_and_gradient(name, temperature, distance, normalize):
    loss = ProxyNCALoss(CLASSES, DIM, temperature, distance, 3.0, normalize=normalize, dtype="float64")
    reference = functools.partial(proxy_nca, temperature=temperature, distance=distance, normalize=normalize)
    assert_equals_reference(loss, reference, *batch(name))


def test_cosine_is_euclidean_of_twice_the_temperature():
    labels, embeddings = batch("uneven")
    euclidean = ProxyNCALoss(CLASSES, DIM, 0.3, dtype="float64")
    cosine = ProxyNCALoss(CLASSES, DIM, 0.15, "cosine", dtype="float64")
    cosine.assign(euclidean.values)
    np.testing.assert_allclose(cosine(labels, embeddings), euclidean(labels, embeddings), rtol=1e-12)


def test_errors():
    with pytest.raises(ValueError, match=r"temperature must be a number in \(0, inf\); got 0"):
        ProxyNCALoss(2, 2, temperature=0)
    with pytest.raises(ValueError, match="distance must be one of 'euclidean', 'cosine'; got 'manhattan'"):
        ProxyNCALoss(2, 2, distance="manhattan")
