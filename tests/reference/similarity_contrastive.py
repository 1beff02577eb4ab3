"""The contrastive loss C1 as plain loops."""

from tests.reference.pairs import partners, similarity


def similarity_contrastive(*batch, margin):
    total = 0.0
    rows = partners(similarity, *batch)
    for _, positives, negatives in rows:
        for s in positives:
            total += 1 - s
        for s in negatives:
            if s > margin:
                total += s
    return total / len(rows)
