import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses import PairLoss
from gsp_tf.losses.pair_loss import average_nonzero


class Pairs(PairLoss):
    """Hands out what a subclass is given."""

    def pair_loss(self, embeddings, references, positive, negative, labels):
        self.seen = [tensor.numpy() for tensor in (embeddings, references, positive, negative)]
        return tf.reduce_sum(embeddings)


def test_a_batch_is_its_own_reference_set_without_the_diagonal():
    loss = Pairs()
    loss([0, 0, 1], 2 * np.eye(3))
    embeddings, references, positive, negative = loss.seen
    np.testing.assert_allclose(embeddings, np.eye(3))
    assert references is embeddings or np.array_equal(references, embeddings)
    assert positive.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    assert negative.tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_a_reference_set_has_no_diagonal():
    loss = Pairs(normalize=False)
    loss([0, 1], 2 * np.eye(2), [0, 1, 0], 3 * np.ones((3, 2)))
    embeddings, references, positive, negative = loss.seen
    np.testing.assert_array_equal(embeddings, 2 * np.eye(2))
    np.testing.assert_array_equal(references, 3 * np.ones((3, 2)))
    assert positive.tolist() == [[True, False, True], [False, True, False]]
    assert negative.tolist() == [[False, True, False], [True, False, True]]


def test_half_precision_is_handed_over_in_float32():
    loss = Pairs()
    assert loss([0, 1], tf.ones((2, 3), tf.bfloat16)).dtype == tf.float32
    assert loss.seen[0].dtype == np.float32


def test_average_nonzero():
    assert average_nonzero(tf.constant([[0.0, 2.0], [4.0, 0.0]])) == 3
    assert average_nonzero(tf.zeros((2, 2))) == 0


def test_is_a_keras_loss():
    loss = Pairs(name="pairs")
    assert isinstance(loss, keras.losses.Loss) and loss.name == "pairs"
    np.testing.assert_allclose(loss.call([0, 1], np.eye(2)), 2)


class TestErrors:
    def test_a_subclass_must_define_its_pairs(self):
        with pytest.raises(NotImplementedError, match="PairLoss must define pair_loss"):
            PairLoss()([0, 1], np.eye(2))

    def test_sample_weights(self):
        message = "and no sample weights: remove sample_weight, or give both reference arguments"
        for arguments, weights in [(([0, 1], np.eye(2)), {"sample_weight": [1.0, 1.0]}), (([0, 1], np.eye(2), [1.0, 1.0]), {})]:
            with pytest.raises(ValueError, match=message):
                Pairs()(*arguments, **weights)

    def test_sample_weights_in_fit(self):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        model.compile("sgd", loss=Pairs(), run_eagerly=True)
        with pytest.raises(ValueError, match="remove sample_weight"):
            model.fit(np.eye(2), np.arange(2), sample_weight=np.ones(2), verbose=0)

    def test_half_of_a_reference_set(self):
        with pytest.raises(ValueError, match="give both reference arguments"):
            Pairs()([0, 1], np.eye(2), ref_embeddings=np.eye(2))

    def test_embeddings(self):
        with pytest.raises(ValueError, match=r"embeddings must have shape \(B, D\); got shape \(2, 2, 2\) of rank 3"):
            Pairs()([0, 1], np.zeros((2, 2, 2)))
        with pytest.raises(ValueError, match=r"ref_embeddings must have shape \(B, D\); got shape \(2,\) of rank 1"):
            Pairs()([0, 1], np.eye(2), [0, 1], np.zeros(2))
        with pytest.raises(TypeError, match="embeddings must hold floating-point numbers; got dtype int64"):
            Pairs()([0, 1], np.eye(2, dtype=np.int64))

    def test_labels(self):
        with pytest.raises(ValueError, match="labels must be whole numbers, one class index per sample; got fractions"):
            Pairs()([0.5, 1.0], np.eye(2))
        with pytest.raises(ValueError, match=r"labels must be one class index per sample, .* got shape \(2, 2\)"):
            Pairs()(np.zeros((2, 2), int), np.eye(2))

    def test_as_many_labels_as_embeddings(self):
        with pytest.raises(ValueError, match="labels must be as many as embeddings, 2; got 3"):
            Pairs()([0, 1, 1], np.eye(2))
        with pytest.raises(ValueError, match="ref_labels must be as many as ref_embeddings, 2; got 1"):
            Pairs()([0, 1], np.eye(2), [0], np.eye(2))
