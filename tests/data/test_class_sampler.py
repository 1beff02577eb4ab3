from itertools import islice

import numpy as np
import pytest

from gsp_tf.data import ClassSampler

SIZES = [(22, 16), (22, 7), (12, 12), (5, 4), (5, 1), (1, 1), (18, 9)]
each_size = pytest.mark.parametrize(("num_classes", "classes_per_batch"), SIZES)


@each_size
def test_batches_hold_distinct_classes_in_range(num_classes, classes_per_batch):
    for batch in islice(ClassSampler(num_classes, classes_per_batch, seed=0), 200):
        assert batch.shape == (classes_per_batch,) and batch.dtype == np.int32
        assert len(set(batch.tolist())) == classes_per_batch
        assert batch.min() >= 0 and batch.max() < num_classes


@each_size
def test_visits_differ_by_at_most_one_after_every_batch(num_classes, classes_per_batch):
    visits = np.zeros(num_classes, int)
    for batch in islice(ClassSampler(num_classes, classes_per_batch, seed=1), 200):
        visits[batch] += 1
        assert visits.max() - visits.min() <= 1


@each_size
def test_skip_gives_the_same_continuation(num_classes, classes_per_batch):
    batches = list(islice(ClassSampler(num_classes, classes_per_batch, seed=2), 60))
    for steps in (0, 1, 2, 17, 59):
        sampler = ClassSampler(num_classes, classes_per_batch, seed=2)
        sampler.skip(steps)
        np.testing.assert_array_equal(list(islice(sampler, 60 - steps)), batches[steps:])


def test_seed_decides():
    first, same, other = (np.stack(list(islice(ClassSampler(22, 16, seed), 20))) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


def test_rounds_have_different_orders():
    batches = [tuple(batch) for batch in islice(ClassSampler(8, 8, seed=0), 20)]
    assert len(set(batches)) == 20


def test_classes_meet_every_other_class():
    together = np.zeros((22, 22), int)
    for batch in islice(ClassSampler(22, 16, seed=0), 500):
        together[np.ix_(batch, batch)] += 1
    pairs = together[~np.eye(22, dtype=bool)] / 500
    # Two given classes of 22 are both among 16 drawn with probability (16 * 15) / (22 * 21) = 0.52.
    assert pairs.min() > 0.35 and pairs.max() < 0.65


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(num_classes=4, classes_per_batch=5, seed=0), "classes_per_batch must be at most .* 4, got 5"),
        (dict(num_classes=0, classes_per_batch=1, seed=0), "num_classes must be"),
        (dict(num_classes=4, classes_per_batch=0, seed=0), "classes_per_batch must be"),
        (dict(num_classes=4, classes_per_batch=2.0, seed=0), "classes_per_batch must be"),
        (dict(num_classes=4, classes_per_batch=2, seed=-1), "seed must be"),
        (dict(num_classes=4, classes_per_batch=2, seed=True), "seed must be"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassSampler(**arguments)


def test_negative_skip():
    with pytest.raises(ValueError, match="steps must be"):
        ClassSampler(4, 2, seed=0).skip(-1)
