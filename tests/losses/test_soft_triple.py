import functools

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.losses.soft_triple import SoftTripleLoss
from tests.losses.proxy_batches import CLASSES, DIM, LABELS, assert_equals_reference, batch, tf_variable
from tests.reference.proxy_losses import soft_triple

# Published, the thesis's for Cars196, and one centre, where the regulariser is 0.
PARAMETERS = [(3, 20.0, 0.1, 0.2, 0.01), (2, 17.69, 19.18, 0.0669, 0.3588), (1, 5.0, 0.1, 0.2, 0.01)]


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("count,lambda_,gamma,tau,margin", PARAMETERS)
def test_value_and_gradient(name, count, lambda_, gamma, tau, margin):
    loss = SoftTripleLoss(CLASSES, DIM, count, lambda_, gamma, tau, margin, 3.0, dtype="float64")
    values = {"num_classes": CLASSES, "lambda_": lambda_, "gamma": gamma, "tau": tau, "margin": margin}
    assert_equals_reference(loss, functools.partial(soft_triple, **values), *batch(name))


def test_without_normalisation():
    loss = SoftTripleLoss(CLASSES, DIM, 3, 2.0, 0.5, 0.4, 0.1, normalize=False, dtype="float64")
    values = {"num_classes": CLASSES, "lambda_": 2.0, "gamma": 0.5, "tau": 0.4, "margin": 0.1, "normalize": False}
    assert_equals_reference(loss, functools.partial(soft_triple, **values), *batch("uneven"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_merged_centers_have_finite_gradients(dtype):
    loss = SoftTripleLoss(2, 3, 2, tau=1.0, dtype=dtype)
    loss.assign([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    with tf.GradientTape() as tape:
        value = loss([0], np.array([[1.0, 2.0, 3.0]], dtype))
    gradient = tape.gradient(value, tf_variable(loss.trainable_weights[0]))
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0)
    # Class 0's centres lie on each other and class 1's are √2 apart; the sample lies on its centre.
    scores = 20.0 * np.array([1.0 - 0.01, _relaxed([1 / np.sqrt(14), 2 / np.sqrt(14)], 0.1)])
    expected = np.log(np.sum(np.exp(scores - scores[0]))) + np.sqrt(2) / 4
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def _relaxed(similarities, gamma):
    weights = np.exp(np.array(similarities) / gamma)
    return np.sum(weights * similarities) / np.sum(weights)


def test_errors():
    with pytest.raises(ValueError, match=r"lambda_ must be a number in \(0, inf\); got 0"):
        SoftTripleLoss(2, 2, lambda_=0)
    with pytest.raises(ValueError, match=r"gamma must be a number in \(0, inf\); got 0"):
        SoftTripleLoss(2, 2, gamma=0)
    with pytest.raises(ValueError, match=r"tau must be a number in \[0, inf\); got -0.1"):
        SoftTripleLoss(2, 2, tau=-0.1)
    with pytest.raises(ValueError, match=r"margin must be a number in \[0, inf\); got -0.1"):
        SoftTripleLoss(2, 2, margin=-0.1)
