import math

import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.losses import MultiSimilarityLoss
from gsp_tf.losses.multi_similarity import log_one_plus_sum_exp
from tests.losses.pair_cases import value_and_gradient


def test_large_exponents_do_not_overflow():
    # e^{β (1 − λ)} is e^{1000}.
    embeddings = tf.ones((3, 2))
    value, gradient = value_and_gradient(MultiSimilarityLoss(alpha=2, beta=2000, base=0.5), [0, 1, 2], embeddings)
    np.testing.assert_allclose(value, (1000 + math.log(2)) / 2000, rtol=1e-6)
    assert np.all(np.isfinite(gradient))


def test_small_sums_keep_their_digits():
    x = tf.constant([[-40.0, -41.0], [-40.0, 3.0]])
    result = log_one_plus_sum_exp(x, tf.constant([[True, True], [True, False]]))
    np.testing.assert_allclose(result, [math.exp(-40) + math.exp(-41), math.exp(-40)], rtol=1e-5)


def test_a_row_without_members_is_zero_with_zero_gradient():
    value, gradient = value_and_gradient(
        lambda members, x: log_one_plus_sum_exp(x, members), tf.zeros((2, 3), tf.bool), tf.ones((2, 3))
    )
    np.testing.assert_array_equal(value, [0, 0])
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


def test_the_miner_leaves_separated_classes_alone():
    # Positives at similarity 1, negatives at 0: with ε = 0.1 nothing overlaps, with ε = 1.5 everything does.
    corners = np.eye(2)[[0, 0, 1, 1]]
    labels = [0, 0, 1, 1]
    assert float(MultiSimilarityLoss(miner_epsilon=0.1)(labels, corners)) == 0
    plain = float(MultiSimilarityLoss()(labels, corners))
    assert float(MultiSimilarityLoss(miner_epsilon=1.5)(labels, corners)) == plain > 0


def test_the_miner_skips_anchors_without_positives():
    angles = np.array([0.0, 0.3, 0.5])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = [0, 0, 1]
    mined = float(MultiSimilarityLoss(miner_epsilon=2)(labels, embeddings))
    # The third anchor has no positive: without a miner its negatives' term is there, with one it is not.
    third = math.log1p(math.exp(40 * (math.cos(0.5) - 0.5)) + math.exp(40 * (math.cos(0.2) - 0.5))) / 40
    np.testing.assert_allclose(float(MultiSimilarityLoss()(labels, embeddings)) - mined, third / 3, rtol=1e-9)


@pytest.mark.parametrize(
    "arguments", [{"alpha": 0}, {"beta": -1}, {"base": 2}, {"miner_epsilon": -0.1}, {"alpha": "2"}]
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be a number in "):
        MultiSimilarityLoss(**arguments)
