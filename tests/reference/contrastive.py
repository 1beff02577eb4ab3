"""The contrastive loss C2 as plain loops over all pairs."""

import math


def _normalized(vector):
    length = math.sqrt(sum(float(u) ** 2 for u in vector))
    return [float(u) / length if length > 0 else 0.0 for u in vector]


def _average_nonzero(terms):
    active = [term for term in terms if term > 0]
    return sum(active) / len(active) if active else 0.0


def contrastive(labels, embeddings, pos_margin, neg_margin, ref_labels=None, ref_embeddings=None, normalize=True):
    own = ref_embeddings is None
    if own:
        ref_labels, ref_embeddings = labels, embeddings
    pull, push = [], []
    for i, x in enumerate(embeddings):
        for j, y in enumerate(ref_embeddings):
            if own and i == j:
                continue
            a, b = (_normalized(x), _normalized(y)) if normalize else (x, y)
            distance = math.sqrt(sum((float(u) - float(v)) ** 2 for u, v in zip(a, b, strict=True)))
            if int(labels[i]) == int(ref_labels[j]):
                pull.append(max(distance - pos_margin, 0.0))
            else:
                push.append(max(neg_margin - distance, 0.0))
    return _average_nonzero(pull) + _average_nonzero(push)
