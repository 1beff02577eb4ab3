"""Triplet loss over all triplets, or over mined ones, without a tensor of triplets."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.pair_loss import PairLoss, average_nonzero
from gsp_tf.ops.checks import check_choice, check_number
from gsp_tf.ops.distances import pairwise_distances


@keras.utils.register_keras_serializable("gsp_tf")
class TripletLoss(PairLoss):
    """Every positive nearer than every negative, by a margin.

        L = AvgNonZero_{(a,p,n): y_a = y_p ≠ y_n} relu(d_ap − d_an + m)

    with Euclidean distances d between L2-normalised embeddings; AvgNonZero is the mean over the terms greater than
    zero, 0 where there are none. ``mining`` says which triplets take part:

        "all"        all of them.
        "semi_hard"  one per positive pair: n is the nearest negative with d_an > d_ap, or the farthest negative where
                     there is none. Source: Schroff et al., FaceNet, CVPR 2015, as in tensorflow-addons, whose mean is
                     over all positive pairs; of negatives at the same distance one is taken.
        "hard"       one per anchor: its farthest positive and its nearest negative. Source: Hermans et al., In
                     Defense of the Triplet Loss, 2017.

    No (B, R, R) tensor exists, and memory grows as B · R. For all triplets the rows of distances are sorted, after
    which counting tells in how many active triplets a pair is: time grows as B · R log R. Semi-hard ones take one pass
    over the distances per positive of an anchor, which for classes of up to a hundred is faster than sorting.

    Args:
        margin: m ≥ 0. The GSP paper: 0.0961 on CUB, 0.1190 on Cars196, 0.0451 on In-shop and SOP, with all triplets.
        mining: "all", "semi_hard" or "hard".
        normalize: L2-normalise embeddings and references first.
        name: name of the loss.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.
        embeddings: (B, D) floating point; half precision is computed in float32.
        ref_labels, ref_embeddings: (R,) and (R, D), the reference set of positives and negatives; the batch itself by
            default, in which no sample is paired with itself.

    Returns:
        A scalar.

    Raises:
        ValueError: for a margin out of range, an unknown mining, labels that are no whole numbers, or shapes that do
            not fit.
        TypeError: for embeddings that are not floating point.

    >>> loss = TripletLoss(margin=0.1)
    >>> round(float(loss([0, 0, 1], tf.constant([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))), 4)
    0.1
    """

    def __init__(self, margin=0.1, mining="all", normalize=True, name="triplet_loss"):
        super().__init__(normalize=normalize, name=name)
        self.margin = check_number("margin", margin, low=0)
        self.mining = check_choice("mining", mining, ("all", "semi_hard", "hard"))

    def pair_loss(self, embeddings, references, positive, negative, labels):
        losses = {"all": all_triplets, "semi_hard": semi_hard_triplets, "hard": hard_triplets}
        return losses[self.mining](pairwise_distances(embeddings, references), positive, negative, self.margin)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "mining": self.mining}


def all_triplets(distances, positive, negative, margin):
    """AvgNonZero over all triplets."""
    # A triplet is active where d_an < d_ap + m. At a tie the positive comes first, and so does not count the negative.
    values, is_positive, is_negative = _sort_together((distances + margin, positive), (distances, negative))
    negatives_before = tf.cumsum(tf.cast(is_negative, values.dtype), axis=1)
    positives_after = tf.cumsum(tf.cast(is_positive, values.dtype), axis=1, reverse=True)
    zero = tf.zeros_like(values)
    # The sum over active triplets of (d_ap + m) − d_an, with each pair's terms collected.
    times = tf.where(is_positive, negatives_before, zero)
    weights = times - tf.where(is_negative, positives_after, zero)
    # A row's weights add up to zero, so any number may be taken off the row: their mean, against cancellation.
    size = tf.abs(weights)
    middle = tf.math.divide_no_nan(
        tf.reduce_sum(size * tf.stop_gradient(values), axis=1, keepdims=True),
        tf.reduce_sum(size, axis=1, keepdims=True),
    )
    count = tf.cast(tf.reduce_sum(tf.cast(times, tf.int64)), values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(weights * (values - middle)), count)


def semi_hard_triplets(distances, positive, negative, margin):
    """AvgNonZero over the positive pairs, each with its semi-hard negative."""
    fixed = tf.stop_gradient(distances)
    positives, negatives = tf.where(positive, fixed, np.inf), tf.where(negative, fixed, -np.inf)
    farthest = tf.reduce_max(negatives, axis=1, keepdims=True)

    def next_positive(than):
        return tf.reduce_min(tf.where(positives > than, positives, np.inf), axis=1, keepdims=True)

    def add_next(d_ap, weights, total, count):
        d_an = tf.reduce_min(tf.where(negatives > d_ap, negatives, np.inf), axis=1, keepdims=True)
        d_an = tf.where(tf.math.is_finite(d_an), d_an, farthest)
        is_ap, is_an = positives == d_ap, negatives == d_an
        pairs, ties = (tf.reduce_sum(tf.cast(x, d_ap.dtype), axis=1, keepdims=True) for x in (is_ap, is_an))
        # An anchor that has no more positives, or no negatives, is at infinity.
        exists = tf.math.is_finite(d_ap) & tf.math.is_finite(d_an)
        term = tf.where(exists, tf.nn.relu(d_ap - d_an + margin), tf.zeros_like(d_ap))
        active = tf.sign(term)
        share = tf.math.divide_no_nan(active * pairs, ties)
        zero = tf.zeros_like(share)
        weights += tf.where(is_ap, active, zero) - tf.where(is_an, share, zero)
        return next_positive(d_ap), weights, total + tf.reduce_sum(pairs * term), count + tf.reduce_sum(pairs * active)

    # The anchors' positives from the nearest to the farthest, those at one distance together.
    zero = tf.zeros((), fixed.dtype)
    start = (next_positive(-tf.ones_like(farthest)), tf.zeros_like(fixed), zero, zero)
    _, weights, total, count = tf.while_loop(
        lambda d_ap, *_: tf.reduce_any(tf.math.is_finite(d_ap)), add_next, start
    )
    # The weights are the total's derivatives by the distances; the difference itself is 0.
    return tf.math.divide_no_nan(total + tf.reduce_sum(weights * (distances - fixed)), count)


def hard_triplets(distances, positive, negative, margin):
    """AvgNonZero over the anchors, each with its farthest positive and its nearest negative."""
    farthest = tf.reduce_max(tf.where(positive, distances, tf.zeros_like(distances)), axis=1)
    nearest = tf.reduce_min(tf.where(negative, distances, distances.dtype.max), axis=1)
    both = tf.reduce_any(positive, axis=1) & tf.reduce_any(negative, axis=1)
    terms = tf.nn.relu(farthest - nearest + margin)
    return average_nonzero(tf.where(both, terms, tf.zeros_like(terms)))


def _sort_together(first, second):
    """Sort every row's members of two groups in one list, ascending; of equal values the first group's come first.

    A group is a pair of (B, R) values and of which are members. Returns the values (B, 2R), 0 behind the last member,
    and whether each is of the first group, and of the second.

    tf.searchsorted would save the merging, but XLA's compares everything with everything in memory.
    """
    keys = tf.concat([tf.where(members, values, np.inf) for values, members in (first, second)], axis=1)
    descending, index = tf.math.top_k(-keys, k=tf.shape(keys)[1])
    exists = descending > -np.inf
    values = tf.where(exists, -descending, tf.zeros_like(descending))
    of_first = index < tf.shape(first[0])[1]
    return values, exists & of_first, exists & tf.logical_not(of_first)
