import time
from itertools import islice

import numpy as np
import pytest

from gsp_tf.data.class_sampler import ClassSampler
from gsp_tf.data.image_sampler import ImageSampler, draw_indices, indices_of_classes

COUNTS = (1, 2, 3, 4, 5, 6, 8, 13)


def shuffled_labels(counts=COUNTS):
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def batches_of(steps, labels=None, classes_per_batch=5, samples_per_class=4, seed=0):
    labels = shuffled_labels() if labels is None else labels
    return list(islice(ImageSampler(labels, classes_per_batch, samples_per_class, seed), steps))


@pytest.mark.parametrize("samples_per_class", [1, 2, 3, 4, 6, 7])
def test_every_image_once_before_any_again_and_distinct_in_a_batch(samples_per_class):
    labels = shuffled_labels()
    seen = np.zeros(len(labels), int)
    for indices, of_batch in batches_of(300, labels, samples_per_class=samples_per_class):
        np.testing.assert_array_equal(labels[indices], of_batch)
        np.testing.assert_array_equal(of_batch, np.repeat(of_batch[::samples_per_class], samples_per_class))
        assert len(set(of_batch.tolist())) == 5
        now = np.bincount(indices, minlength=len(labels))
        seen += now
        for label in set(of_batch.tolist()):
            mine = labels == label
            # No image twice while another of its class is missing, in the batch and in all that has been given.
            assert now[mine].max() - now[mine].min() <= 1
            assert seen[mine].max() - seen[mine].min() <= 1
    assert seen.min() > 0


def test_form_of_a_batch():
    for indices, labels in batches_of(20):
        assert indices.shape == labels.shape == (20,)
        assert indices.dtype == np.int64 and labels.dtype == np.int32


def test_classes_are_those_of_the_class_sampler():
    sampler = ClassSampler(len(COUNTS), 5, seed=7)
    for (_, labels), classes in zip(batches_of(50, seed=7), islice(sampler, 50), strict=True):
        np.testing.assert_array_equal(labels[::4], classes)


@pytest.mark.parametrize("steps", [0, 1, 2, 17, 59, 299])
def test_skip_gives_the_same_continuation(steps):
    whole = batches_of(310)
    sampler = ImageSampler(shuffled_labels(), 5, 4, seed=0)
    sampler.skip(steps)
    for (indices, labels), (expected, expected_labels) in zip(islice(sampler, 310 - steps), whole[steps:], strict=True):
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(labels, expected_labels)


def test_skip_after_some_batches():
    sampler = ImageSampler(shuffled_labels(), 5, 4, seed=0)
    next(sampler)
    sampler.skip(8)
    np.testing.assert_array_equal(next(sampler)[0], batches_of(10)[9][0])


@pytest.mark.parametrize("counts", [[59] * 100, [5] * 11318], ids=["CUB", "SOP"])
def test_sixty_thousand_steps_are_skipped_in_seconds(counts):
    sampler = ImageSampler(np.repeat(np.arange(len(counts)), counts), 8, 4, seed=0)
    start = time.process_time()
    sampler.skip(60_000)
    next(sampler)
    assert time.process_time() - start < 15


def test_seed_decides():
    first, same, other = (np.stack([x for x, _ in batches_of(20, seed=seed)]) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


def test_every_pair_of_images_of_a_class_meets():
    together = np.zeros((9, 9), int)
    for indices, _ in batches_of(2000, np.zeros(9, int), classes_per_batch=1):
        together[np.ix_(indices, indices)] += 1
    pairs = together[~np.eye(9, dtype=bool)] / 2000
    # Two given images of 9 are both among 4 drawn with probability (4 * 3) / (9 * 8) = 0.167.
    assert pairs.min() > 0.12 and pairs.max() < 0.22


def test_parts_of_a_batch_hold_it_whole():
    indices, labels = batches_of(1, classes_per_batch=8)[0]
    parts = np.split(labels, 4)
    assert [len(set(part.tolist())) for part in parts] == [2] * 4
    assert np.bincount(labels).tolist() == [4] * 8


def test_draw_indices_takes_every_image_before_any_again():
    labels = shuffled_labels()
    members = indices_of_classes(labels, len(COUNTS))
    wanted = np.array([7, 2, 2, 7, 2, 2, 2, 0, 0, 7])
    drawn = draw_indices(wanted, members, np.random.default_rng(0))
    np.testing.assert_array_equal(labels[drawn], wanted)
    for label in range(len(COUNTS)):
        counts = np.bincount(drawn[wanted == label], minlength=len(labels))[members[label]]
        assert counts.max() - counts.min() <= 1
    assert np.any(drawn != draw_indices(wanted, members, np.random.default_rng(1)))
    assert draw_indices(wanted[:0], members, np.random.default_rng(0)).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(labels=[0, 2]), "labels must hold every class from 0 to 2, got none of class 1"),
        (dict(labels=[-1, 0]), "labels must be at least 0, got -1"),
        (dict(labels=[]), "labels must be at least one"),
        (dict(labels=[[0, 1]]), "labels must be .* shape \\(1, 2\\)"),
        (dict(labels=[0.0, 1.0]), "labels must be .* float64"),
        (dict(classes_per_batch=3), "classes_per_batch must be at most .* 2, got 3"),
        (dict(samples_per_class=0), "samples_per_class must be"),
        (dict(seed=-1), "seed must be"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageSampler(**{**dict(labels=[0, 1], classes_per_batch=2, samples_per_class=1, seed=0), **arguments})


def test_negative_skip():
    with pytest.raises(ValueError, match="steps must be"):
        ImageSampler([0, 1], 1, 1, seed=0).skip(-1)
