import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.losses import SimilarityContrastiveLoss


def test_a_negative_at_the_margin_does_not_count():
    embeddings = tf.constant([[1.0, 0.0], [0.5, 0.75]])
    loss = SimilarityContrastiveLoss(margin=0.5, normalize=False)
    assert float(loss([0, 1], embeddings)) == 0
    assert float(SimilarityContrastiveLoss(margin=0.25, normalize=False)([0, 1], embeddings)) == 0.5


def test_the_sum_is_divided_by_the_anchors_alone(rng):
    batch = np.array([0, 1, 1]), rng.normal(size=(3, 4))
    doubled = np.tile(batch[0], 2), np.tile(batch[1], (2, 1))
    loss = SimilarityContrastiveLoss()
    once = loss(*batch, *batch)
    np.testing.assert_allclose(loss(*batch, *doubled), 2 * once, rtol=1e-12)
    np.testing.assert_allclose(loss(*doubled, *batch), once, rtol=1e-12)


@pytest.mark.parametrize("margin", [-1.5, 2, "half"])
def test_bad_margin(margin):
    with pytest.raises(ValueError, match=r"margin must be a number in \[-1, 1"):
        SimilarityContrastiveLoss(margin)
