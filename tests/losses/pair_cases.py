"""The pair losses with their loop references, and the batches that they are tested on."""

from functools import partial

import numpy as np
import tensorflow as tf

from gsp_tf.losses import (
    ClassMargins,
    ContrastiveLoss,
    GeneralizedContrastiveLoss,
    MultiSimilarityLoss,
    SimilarityContrastiveLoss,
    TripletLoss,
)
from tests.finite_differences import numeric_gradient, one_by_one
from tests.reference.contrastive import contrastive
from tests.reference.generalized_contrastive import generalized_contrastive
from tests.reference.multi_similarity import multi_similarity
from tests.reference.similarity_contrastive import similarity_contrastive
from tests.reference.triplet import triplet

CLASS_BOUNDARIES = [0.9, 0.4, 1.1, 0.7, 0.6]


def with_class_boundaries(**kwargs):
    """A loss whose classes have boundaries of their own, in float64."""
    loss = GeneralizedContrastiveLoss(beta=0.5, num_classes=len(CLASS_BOUNDARIES), **kwargs)
    loss.margins = ClassMargins(len(CLASS_BOUNDARIES), initial=0.5, dtype="float64")
    loss.margins.values.assign(CLASS_BOUNDARIES)
    return loss


def contrastive_reference(labels, embeddings, ref_labels=None, ref_embeddings=None, **margins):
    return contrastive(labels, embeddings, **margins, ref_labels=ref_labels, ref_embeddings=ref_embeddings)


def case(loss, reference, **parameters):
    return partial(loss, **parameters), partial(reference, **parameters)


MS = {"alpha": 14.35, "beta": 75.83, "base": 0.66}
CASES = {
    "contrastive": case(ContrastiveLoss, contrastive_reference, pos_margin=0.2652, neg_margin=0.5409),
    "similarity_contrastive": case(SimilarityContrastiveLoss, similarity_contrastive, margin=0.5),
    "triplet": case(TripletLoss, triplet, margin=0.119),
    "triplet_semi_hard": case(TripletLoss, triplet, margin=0.3, mining="semi_hard"),
    "triplet_hard": case(TripletLoss, triplet, margin=0.3, mining="hard"),
    "multi_similarity": case(MultiSimilarityLoss, multi_similarity, **MS),
    "multi_similarity_mined": case(MultiSimilarityLoss, multi_similarity, **MS, miner_epsilon=0.1),
    "generalized_contrastive": case(GeneralizedContrastiveLoss, generalized_contrastive, alpha=0.2, beta=0.8),
    "generalized_contrastive_nonzero": case(
        GeneralizedContrastiveLoss, generalized_contrastive, alpha=0.2, beta=0.8, average="nonzero"
    ),
    "class_boundaries": (
        partial(with_class_boundaries, alpha=0.2),
        partial(generalized_contrastive, alpha=0.2, beta=CLASS_BOUNDARIES),
    ),
}

# Labels and which point each sample is; then, where there is one, those of the reference set. Samples at one point
# have no derivative of their own where distances have a kink, but one point moves all of its samples smoothly.
BATCHES = {
    "uneven_classes": ([0, 0, 0, 0, 1, 1, 2, 3], range(8)),
    "one_class": ([1, 1, 1, 1], range(4)),
    "all_distinct": ([0, 1, 2, 3, 4], range(5)),
    "duplicates": ([0, 0, 0, 3, 3, 1, 2], [0, 0, 1, 4, 3, 2, 2]),
    "all_the_same": ([0, 0, 1], [0, 0, 0]),
    "two_of_a_class": ([0, 0], range(2)),
    "two_classes_of_one": ([0, 1], range(2)),
    "one_sample": ([2], range(1)),
    "reference_set": ([0, 0, 1, 2], range(4), [0, 1, 1, 0, 3], range(4, 9)),
    "overlapping_reference_set": ([0, 1, 1], range(3), [0, 1, 0, 1, 2], [0, 3, 4, 5, 6]),
}


def fine_gradient(function, x, step=2e-5):
    """Central differences with the error's first term taken out (Richardson): about 1e-10 for these losses."""
    near, far = (numeric_gradient(one_by_one(function), x, size) for size in (step, 2 * step))
    return (4 * near - far) / 3


def batch_of(name, points, gather=tf.gather):
    """The arguments of a loss: labels and samples, and those of the reference set if there is one."""
    batch = BATCHES[name]
    return [part if i % 2 == 0 else gather(points, list(part)) for i, part in enumerate(batch)]


def random_points(name):
    rng = np.random.default_rng(list(BATCHES).index(name))
    count = 1 + max(i for part in BATCHES[name][1::2] for i in part)
    return rng.normal(size=(count, 3)) + [0.5, 0, 0]


def value_and_gradient(loss, labels, embeddings, *reference_set):
    embeddings = tf.convert_to_tensor(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        value = loss(labels, embeddings, *reference_set)
    return value, tf.convert_to_tensor(tape.gradient(value, embeddings, unconnected_gradients="zero"))
