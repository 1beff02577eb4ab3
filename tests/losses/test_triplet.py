import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.losses import TripletLoss
from tests.reference.pairs import distance, normalized, partners
from tests.reference.triplet import triplet


def on_a_line(loss, labels, positions):
    return float(loss(labels, tf.constant(positions, tf.float32)[:, tf.newaxis]))


def test_a_triplet_at_the_margin_is_not_active():
    # From 0: 3 − 4 + 1 = 0. From 3: 3 − 1 + 1 = 3, the only term.
    assert on_a_line(TripletLoss(margin=1, normalize=False), [0, 0, 1], [0, 3, 4]) == 3


def test_duplicates_without_a_margin_are_not_active():
    # Of class 0's pairs only (0, 5) has terms: from 0, against the duplicate, 5 − 0; from 5, 5 − 5 is none.
    loss = TripletLoss(margin=0, normalize=False)
    assert on_a_line(loss, [0, 0, 0, 1], [0, 0, 5, 0]) == 5


def test_a_negative_as_far_as_the_positive_is_not_semi_hard():
    # From 0 the negatives are at 3 and 5, the positive at 3: 3 − 5 + 3 = 1. From 3: 3 − 6 + 3 = 0.
    loss = TripletLoss(margin=3, mining="semi_hard", normalize=False)
    assert on_a_line(loss, [0, 0, 1, 2], [0, 3, -3, 5]) == 1


def test_semi_hard_takes_the_farthest_negative_where_none_is_farther():
    # From 0: positive at 9, negatives at 2 and 4: 9 − 4 + 1 = 6. From 9: 9 − 7 + 1 = 3.
    loss = TripletLoss(margin=1, mining="semi_hard", normalize=False)
    assert on_a_line(loss, [0, 0, 1, 2], [0, 9, 2, 4]) == 4.5


def test_semi_hard_negatives_at_one_distance_share_the_gradient():
    # From 0: both positives at 3, negatives at 4 on either side: twice 3 − 4 + 3 = 2. From either 3: the other at 0,
    # the nearest negative at 1: 0 − 1 + 3 = 2; its positive at 3 has 3 − 7 + 3 < 0.
    positions = tf.constant([0.0, 3, 3, 4, -4])
    with tf.GradientTape() as tape:
        tape.watch(positions)
        value = TripletLoss(3, "semi_hard", normalize=False)([0, 0, 0, 1, 2], positions[:, tf.newaxis])
    assert float(value) == 2
    np.testing.assert_allclose(tape.gradient(value, positions)[3:], [-3 / 4, 1 / 4], rtol=1e-6)


def test_hard_takes_the_farthest_positive_and_the_nearest_negative():
    # From 0: 4 − 2 + 1 = 3. From 1: 3 − 1 + 1 = 3. From 4: 4 − 2 + 1 = 3. From 7 there is no positive, nor from 2.
    loss = TripletLoss(margin=1, mining="hard", normalize=False)
    assert on_a_line(loss, [0, 0, 0, 1, 2], [0, 1, 4, 7, 2]) == 3


def test_mining_changes_the_loss(rng):
    labels, embeddings = np.arange(12) // 3, rng.normal(size=(12, 3))
    values = {float(TripletLoss(0.3, mining)(labels, embeddings)) for mining in ("all", "semi_hard", "hard")}
    assert len(values) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"margin": -0.1}, r"margin must be a number in \[0, inf\); got -0.1"),
     ({"mining": "easy"}, "mining must be one of 'all', 'semi_hard', 'hard'; got 'easy'")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TripletLoss(**arguments)


@pytest.mark.parametrize("margin", [0.05, 0.15])
def test_equals_tensorflow_addons(margin, rng):
    addons = pytest.importorskip("tensorflow_addons")
    labels, raw = np.arange(15) % 5, rng.normal(size=(15, 4))
    embeddings = np.array([normalized(x) for x in raw])
    pairs, active = 0, 0
    for _, positives, negatives in partners(distance, labels, embeddings):
        for d_ap in positives:
            pairs += 1
            active += d_ap + margin > min([d for d in negatives if d > d_ap], default=max(negatives))
    # Theirs is the mean over all positive pairs, and over all anchors.
    peer = addons.losses.TripletSemiHardLoss(margin)(labels, embeddings.astype(np.float32))
    ours = TripletLoss(margin, "semi_hard")(labels, embeddings)
    np.testing.assert_allclose(ours * active / pairs, peer, rtol=1e-5)
    assert 0 < active < pairs
    peer = addons.losses.TripletHardLoss(margin)(labels, embeddings.astype(np.float32))
    rows = partners(distance, labels, embeddings)
    active = sum(max(positives) + margin > min(negatives) for _, positives, negatives in rows)
    np.testing.assert_allclose(TripletLoss(margin, "hard")(labels, embeddings) * active / 15, peer, rtol=1e-5)


def test_many_references_equal_loops(rng):
    labels, embeddings = [0, 1], rng.normal(size=(2, 3))
    references = rng.integers(0, 4, 300), rng.normal(size=(300, 3))
    for mining in ("all", "semi_hard", "hard"):
        expected = triplet(labels, embeddings, *references, margin=0.1, mining=mining)
        np.testing.assert_allclose(TripletLoss(0.1, mining)(labels, embeddings, *references), expected, rtol=1e-12)
