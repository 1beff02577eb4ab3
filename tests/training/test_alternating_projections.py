import numpy as np
import pytest
from tensorflow import keras

import gsp_tf
from gsp_tf.data import DigitsMixture, training_batches
from gsp_tf.losses import ContrastiveLoss, CrossBatchMemory, Projection, Proxies
from gsp_tf.training.alternating_projections import AlternatingProjections
from gsp_tf.training.checkpoint import load_checkpoint, save_checkpoint
from gsp_tf.training.embedding import embed
from tests.reference.k_center import covering_radius, greedy_k_center

CLASSES, DIM, PER_CLASS = 4, 4, 2
MIXTURE = DigitsMixture("train")


def draw(labels, rng):
    return MIXTURE.draw(labels, rng)


class Scores(keras.callbacks.Callback):
    """Logs given scores in place of an evaluation, and keeps the weights of every epoch's end."""

    def __init__(self, scores):
        super().__init__()
        self.scores, self.weights = scores, []

    def on_epoch_end(self, epoch, logs=None):
        logs["val_MAP@R"] = self.scores[epoch]
        self.weights.append((self.model.embedder.get_weights(), self.model.batch_loss.values.numpy()))


def make_embedder(gsp=False):
    images = keras.Input((32, 32, 1))
    features = keras.layers.Conv2D(DIM, 8, 8)(images)
    if not gsp:
        return keras.Model(images, gsp_tf.L2Normalize()(keras.layers.GlobalAveragePooling2D()(features)))
    pooled, histogram = gsp_tf.GSPLayer(6, epsilon=5.0)(features, return_histogram=True)
    return keras.Model(images, {"embedding": gsp_tf.L2Normalize()(pooled), "histogram": histogram})


def make_learner(gsp=False, proxies=None, weight=0.1):
    embedder = make_embedder(gsp)
    proxies = proxies or Proxies(CLASSES, DIM, PER_CLASS, loss=ContrastiveLoss())
    regularizer = gsp_tf.ZeroShotRegularizer(CLASSES) if gsp else None
    learner = gsp_tf.MetricLearner(embedder, proxies, regularizer, projection=Projection(embedder, proxies, weight))
    learner.compile(keras.optimizers.SGD(0.5))
    learner.build_all()
    return learner


def fit(learner, alternation, scores, done=0):
    """Two steps an epoch; the history and the scores' callback."""
    data = training_batches(MIXTURE, CLASSES, 2, seed=0)
    batches = ((images, labels % CLASSES) for images, labels in data)
    watch = Scores(scores)
    history = learner.fit(batches, epochs=len(scores), initial_epoch=done, steps_per_epoch=2, verbose=0,
                          callbacks=[watch, alternation])
    return history.history, watch


def pool(learner, problem, per_class, stream=1, seed=0):
    """The pool of a problem as the callback draws it: (C, per_class, D)."""
    images = draw(np.repeat(np.arange(CLASSES), per_class), np.random.default_rng([seed, problem, stream]))
    return embed(learner.embedder, images)["embedding"].reshape(CLASSES, per_class, DIM)


def unit(points):
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def test_a_problem_ends_when_its_patience_has_and_the_next_begins():
    learner = make_learner()
    logs, watch = fit(learner, AlternatingProjections(draw, 5, patience=2), [0.3, 0.5, 0.4, 0.5])
    assert logs["projection"] == [1, 1, 1, 1]
    assert logs["projection_steps"] == [0, 0, 0, 8]
    assert logs["moved"][:3] == logs["radius_before"][:3] == logs["radius_after"][:3] == [0, 0, 0]
    # The weights of the second epoch are back, and θ* is there.
    best, proxies = watch.weights[1]
    for value, expected in zip(learner.embedder.get_weights(), best, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert float(learner.projection.proximal_term()) == 0 and logs["moved"][3] > 0
    # The next proxies cover what the best ones did not.
    points, old = pool(learner, 1, 5), unit(proxies).reshape(CLASSES, PER_CLASS, DIM)
    new = learner.batch_loss.values.numpy().reshape(CLASSES, PER_CLASS, DIM)
    for c in range(CLASSES):
        np.testing.assert_allclose(new[c], points[c][greedy_k_center(points[c], PER_CLASS, old[c])], rtol=1e-5)
    before = max(covering_radius(points[c], old[c]) for c in range(CLASSES))
    after = max(covering_radius(points[c], [*old[c], *new[c]]) for c in range(CLASSES))
    assert logs["radius_before"][3] == pytest.approx(before, rel=1e-4)
    assert logs["radius_after"][3] == pytest.approx(after, rel=1e-4) and after <= before


def test_problems_follow_each_other_each_with_a_best_of_its_own():
    learner = make_learner()
    logs, _ = fit(learner, AlternatingProjections(draw, 3, patience=1), [0.5, 0.5, 0.2, 0.1, 0.3])
    assert logs["projection"] == [1, 1, 2, 2, 3]
    assert logs["projection_steps"] == [0, 4, 0, 4, 0]
    # In one number too many digits for the counters, which are float32, a plateau is no improvement.
    again, _ = fit(make_learner(), AlternatingProjections(draw, 3, patience=1), [0.1 + 1e-10] * 2 + [0.7 + 1e-9] * 2)
    assert again["projection"] == [1, 1, 2, 2]


def test_training_begins_with_proxies_that_samples_of_their_class_are():
    learner = make_learner()
    learner.batch_loss.assign(np.full((CLASSES * PER_CLASS, DIM), 7.0))
    first, points = pool(learner, 0, PER_CLASS, stream=0), pool(learner, 0, 3)

    class AtBegin(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 0:
                self.values = learner.batch_loss.values.numpy().reshape(CLASSES, PER_CLASS, DIM)

    seen, batches = AtBegin(), training_batches(MIXTURE, CLASSES, 2, seed=0)
    data = ((images, labels % CLASSES) for images, labels in batches)
    learner.fit(data, steps_per_epoch=1, verbose=0, callbacks=[Scores([0.5]), AlternatingProjections(draw, 3), seen])
    for c in range(CLASSES):
        np.testing.assert_allclose(seen.values[c], points[c][greedy_k_center(points[c], PER_CLASS, first[c])],
                                   rtol=1e-5)


def test_random_selection_and_proxies_as_the_loss_compares_them():
    images = keras.Input((32, 32, 1))
    embedder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(DIM, 8, 8)(images)))
    proxies = Proxies(CLASSES, DIM, PER_CLASS, loss=ContrastiveLoss(), lr_multiplier=10.0)
    learner = gsp_tf.MetricLearner(embedder, proxies, projection=Projection(embedder, proxies))
    learner.compile(keras.optimizers.SGD(0.1))
    fit(learner, AlternatingProjections(draw, 4, selection="random", patience=1, seed=3), [0.5, 0.4])
    expected = unit(pool(learner, 1, 4, seed=3))[:, :PER_CLASS]
    np.testing.assert_allclose(proxies.values, expected.reshape(-1, DIM), rtol=1e-4, atol=1e-6)


def test_a_heavy_proximal_term_holds_the_weights_near_theirs():
    moved = []
    for weight in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        logs, _ = fit(make_learner(weight=weight), AlternatingProjections(draw, 3, patience=1), [0.1, 0.2, 0.3, 0.2])
        moved.append(logs["moved"][3])
    assert 0 < moved[1] < moved[0]


def test_with_generalized_sum_pooling_and_the_zero_shot_regularizer():
    learner = make_learner(gsp=True)
    logs, _ = fit(learner, AlternatingProjections(draw, 3, patience=1), [0.5, 0.4, 0.3])
    assert logs["projection"] == [1, 1, 2] and logs["moved"][1] > 0
    assert np.all(np.isfinite(logs["loss"])) and "zero_shot_loss" in logs


def test_a_run_that_was_stopped_inside_a_problem_goes_on_in_it(tmp_path):
    scores = [0.5, 0.4, 0.3]
    learner = make_learner()
    held = {id(variable) for variable in learner.variables}
    assert all(id(variable) in held for variable in learner.projection.weights)
    _, watch = fit(learner, AlternatingProjections(draw, 3, patience=2), scores[:2])
    save_checkpoint(tmp_path / "state.npz", {"all": learner.variables}, {})
    iterations = int(learner.optimizer.iterations.numpy())
    keras.utils.set_random_seed(1)
    again = make_learner()
    load_checkpoint(tmp_path / "state.npz", {"all": again.variables})
    again.optimizer.iterations.assign(iterations)
    logs, _ = fit(again, AlternatingProjections(draw, 3, patience=2), scores, done=2)
    assert logs["projection"] == [1] and logs["projection_steps"] == [6]
    for value, expected in zip(again.embedder.get_weights(), watch.weights[0][0], strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_problem_counts_from_where_its_training_began():
    learner = make_learner()
    learner.optimizer.iterations.assign(100)
    logs, _ = fit(learner, AlternatingProjections(draw, 3, patience=1), [0.5, 0.4])
    assert logs["projection_steps"] == [0, 4]


def test_what_it_cannot_work_on():
    embedder = make_embedder()
    memory = CrossBatchMemory(ContrastiveLoss(), 2, batch_size=8, embedding_dim=DIM)
    proxies = Proxies(CLASSES, DIM, PER_CLASS, loss=ContrastiveLoss())
    for loss, message in [
        (memory, "does not go together with CrossBatchMemory"),
        (ContrastiveLoss(), r"needs MetricLearner\(embedder, proxies, projection=.*; got the loss ContrastiveLoss"),
        (proxies, r"needs MetricLearner\(embedder, proxies, projection="),
    ]:
        learner = gsp_tf.MetricLearner(embedder, loss)
        learner.compile("sgd")
        with pytest.raises(ValueError, match=message):
            fit(learner, AlternatingProjections(draw, 3), [0.5])
    with pytest.raises(ValueError, match="pool_size must be at least proxies_per_class=2; got 1"):
        fit(make_learner(), AlternatingProjections(draw, 1), [0.5])
    with pytest.raises(ValueError, match="monitor must be a key of the logs: place RetrievalEvaluation .*'val_P@1'"):
        fit(make_learner(), AlternatingProjections(draw, 3, monitor="val_P@1"), [0.5])
    with pytest.raises(ValueError, match="selection must be one of 'k_center', 'random'; got 'best'"):
        AlternatingProjections(draw, 3, selection="best")
    with pytest.raises(ValueError, match="patience must be"):
        AlternatingProjections(draw, 3, patience=0)
