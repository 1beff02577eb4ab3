"""The pairs of a batch, and of a batch with a reference set, as plain loops: what the pair losses' references share."""

import math


def normalized(vector):
    length = math.sqrt(sum(float(u) ** 2 for u in vector))
    return [float(u) / length if length > 0 else 0.0 for u in vector]


def distance(x, y):
    return math.sqrt(sum((u - v) ** 2 for u, v in zip(x, y, strict=True)))


def similarity(x, y):
    return sum(u * v for u, v in zip(x, y, strict=True))


def average_nonzero(terms):
    active = [term for term in terms if term > 0]
    return sum(active) / len(active) if active else 0.0


def partners(measure, labels, embeddings, ref_labels=None, ref_embeddings=None):
    """For each anchor its class, the measures to its positives, and those to its negatives."""
    own = ref_embeddings is None
    if own:
        ref_labels, ref_embeddings = labels, embeddings
    anchors = [normalized(x) for x in embeddings]
    references = [normalized(x) for x in ref_embeddings]
    rows = []
    for i, anchor in enumerate(anchors):
        positives, negatives = [], []
        for j, reference in enumerate(references):
            if own and i == j:
                continue
            group = positives if int(labels[i]) == int(ref_labels[j]) else negatives
            group.append(measure(anchor, reference))
        rows.append((int(labels[i]), positives, negatives))
    return rows
