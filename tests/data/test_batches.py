from itertools import islice

import numpy as np
import pytest

from gsp_tf.data import ClassSampler, DigitsCollage, DigitsMixture, training_batches


@pytest.mark.parametrize(
    "dataset", [DigitsMixture("train"), DigitsCollage("train", noise=0.1)], ids=lambda d: d.name
)
@pytest.mark.parametrize("start_step", [0, 1, 7])
def test_resumed_batches_are_identical(dataset, start_step):
    whole = list(islice(training_batches(dataset, 16, 2, seed=5), 10))
    resumed = islice(training_batches(dataset, 16, 2, seed=5, start_step=start_step), 10 - start_step)
    for (images, labels), (expected_images, expected_labels) in zip(resumed, whole[start_step:], strict=True):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)


def test_form_of_a_batch():
    images, labels = next(training_batches(DigitsMixture("train"), 16, 4, seed=0))
    assert images.shape == (64, 32, 32, 1) and images.dtype == np.float32
    assert labels.shape == (64,) and labels.dtype == np.int32
    np.testing.assert_array_equal(labels, np.repeat(labels[::4], 4))
    assert len(set(labels.tolist())) == 16


def test_classes_are_those_of_the_sampler():
    dataset = DigitsMixture("train")
    batches, sampler = training_batches(dataset, 16, 4, seed=9), ClassSampler(22, 16, seed=9)
    for (_, labels), classes in islice(zip(batches, sampler, strict=True), 5):
        np.testing.assert_array_equal(labels[::4], classes)


def test_images_are_those_of_their_labels():
    dataset = DigitsCollage("train")
    images, labels = next(training_batches(dataset, 4, 2, seed=3))
    rng = np.random.default_rng([3, 0, 2])
    np.testing.assert_array_equal(images, dataset.draw(labels, rng))


def test_images_are_fresh_and_the_seed_decides():
    dataset = DigitsMixture("train")
    images = np.concatenate(
        [batch for seed in (0, 1) for batch, _ in islice(training_batches(dataset, 16, 4, seed), 9)]
    )
    assert len({image.tobytes() for image in images}) == len(images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(classes_per_batch=23), "classes_per_batch must be at most .* 22, got 23"),
        (dict(samples_per_class=0), "samples_per_class must be"),
        (dict(seed=-1), "seed must be"),
        (dict(start_step=-1), "start_step must be"),
    ],
)
def test_errors_come_before_the_first_batch(arguments, message):
    with pytest.raises(ValueError, match=message):
        training_batches(
            DigitsMixture("train"), **{"classes_per_batch": 4, "samples_per_class": 2, "seed": 0, **arguments}
        )
