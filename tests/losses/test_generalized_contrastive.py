import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses import ContrastiveLoss, GeneralizedContrastiveLoss
from tests.losses.pair_cases import CLASS_BOUNDARIES, fine_gradient, with_class_boundaries
from tests.reference.generalized_contrastive import generalized_contrastive


class Embedder(keras.Model):
    """A model that holds its loss's boundaries, and so trains them."""

    def __init__(self, margins):
        super().__init__()
        self.dense = keras.layers.Dense(3)
        self.margins = margins

    def call(self, inputs):
        return self.dense(inputs)


def test_averages_over_active_pairs_as_the_contrastive_loss(rng):
    labels, embeddings = np.arange(10) % 3, rng.normal(size=(10, 4))
    loss = GeneralizedContrastiveLoss(alpha=0.25, beta=1.0, average="nonzero")
    expected = ContrastiveLoss(pos_margin=0.75, neg_margin=1.25)(labels, embeddings)
    np.testing.assert_allclose(loss(labels, embeddings), expected, rtol=1e-14)


@pytest.mark.parametrize("average", ["all", "nonzero"])
def test_gradient_of_the_boundaries_equals_loops(average, rng):
    labels, embeddings = np.array([0, 0, 1, 2, 2, 2, 1]), rng.normal(size=(7, 3))
    loss = with_class_boundaries(alpha=0.2, average=average)
    variable = loss.margins.trainable_variables[0]
    with tf.GradientTape() as tape:
        value = loss(labels, embeddings)
    gradient = tf.convert_to_tensor(tape.gradient(value, variable.value if hasattr(variable, "path") else variable))

    def loops(beta):
        return generalized_contrastive(labels, embeddings, alpha=0.2, beta=list(beta), average=average)

    expected = fine_gradient(loops, CLASS_BOUNDARIES)
    assert np.count_nonzero(expected) == 3
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9)


def test_boundaries_are_those_of_the_anchors(rng):
    loss = with_class_boundaries(alpha=0.2)
    labels, embeddings = [0, 4], rng.normal(size=(2, 3))
    references = [0, 1, 3], rng.normal(size=(3, 3))
    expected = generalized_contrastive(labels, embeddings, *references, alpha=0.2, beta=CLASS_BOUNDARIES)
    np.testing.assert_allclose(loss(labels, embeddings, *references), expected, rtol=1e-12)


def test_a_model_that_holds_the_boundaries_trains_and_saves_them(tmp_path, rng):
    x, labels = rng.normal(size=(12, 5)).astype(np.float32), np.arange(12) % 3
    loss = GeneralizedContrastiveLoss(alpha=0.2, beta=1.0, num_classes=4)
    model = Embedder(loss.margins)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    model.fit(x, labels, batch_size=6, epochs=2, verbose=0)
    trained = np.array(loss.margins.values)
    assert len(model.trainable_variables) == 3
    # Class 3 is not in the data.
    assert np.all(trained[:3] != 1) and trained[3] == 1
    model.save_weights(tmp_path / "model.weights.h5")
    copy = Embedder(GeneralizedContrastiveLoss(alpha=0.2, beta=1.0, num_classes=4).margins)
    copy(x)
    copy.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(copy.margins.values, trained)


def test_a_fixed_boundary_has_no_variables():
    assert GeneralizedContrastiveLoss().margins is None


def test_labels_outside_the_classes():
    loss = GeneralizedContrastiveLoss(num_classes=2)
    with pytest.raises(ValueError, match=r"class indices in \[0, 2\); got 2: set num_classes"):
        loss([0, 2], tf.ones((2, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"alpha": 0}, r"alpha must be a number in \(0, inf\)"),
     ({"alpha": 0.5, "beta": 0.4}, r"beta must be a number in \[0.5, inf\); got 0.4"),
     ({"num_classes": 0}, "num_classes must be a whole number of at least 1"),
     ({"average": "mean"}, "average must be one of 'all', 'nonzero'; got 'mean'")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GeneralizedContrastiveLoss(**arguments)
