import functools

import numpy as np
import pytest

from gsp_tf.losses.proxy_anchor import ProxyAnchorLoss
from tests.losses.proxy_batches import CLASSES, DIM, LABELS, assert_equals_reference, batch
from tests.reference.proxy_losses import proxy_anchor


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("margin,alpha,normalize", [(0.1, 32.0, True), (0.0, 2.0, False)])
def test_value_and_gradient(name, margin, alpha, normalize):
    loss = ProxyAnchorLoss(CLASSES, DIM, margin, alpha, 3.0, normalize=normalize, dtype="float64")
    reference = functools.partial(proxy_anchor, margin=margin, alpha=alpha, normalize=normalize)
    assert_equals_reference(loss, reference, *batch(name))


def test_large_exponents_do_not_overflow():
    loss = ProxyAnchorLoss(2, 2, alpha=1e4)
    loss.assign([[1.0, 0.0], [0.0, 1.0]])
    # Each sample lies on the other class's proxy: α (0 + δ) to pull, α (1 + δ) to push.
    np.testing.assert_allclose(loss([0, 1], [[0.0, 1.0], [1.0, 0.0]]), 1e4 * 0.1 + 1e4 * 1.1, rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"margin must be a number in \[0, inf\); got -1"):
        ProxyAnchorLoss(2, 2, margin=-1)
    with pytest.raises(ValueError, match=r"alpha must be a number in \(0, inf\); got 0"):
        ProxyAnchorLoss(2, 2, alpha=0)
