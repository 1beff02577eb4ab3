"""The multi-similarity loss and its miner as plain loops."""

import math

from tests.reference.pairs import partners, similarity


def multi_similarity(*batch, alpha, beta, base, miner_epsilon=None):
    total = 0.0
    rows = partners(similarity, *batch)
    for _, positives, negatives in rows:
        if miner_epsilon is not None:
            if not positives or not negatives:
                continue
            kept_negatives = [s for s in negatives if s > min(positives) - miner_epsilon]
            kept_positives = [s for s in positives if s < max(negatives) + miner_epsilon]
            positives, negatives = kept_positives, kept_negatives
        total += math.log1p(sum(math.exp(-alpha * (s - base)) for s in positives)) / alpha
        total += math.log1p(sum(math.exp(beta * (s - base)) for s in negatives)) / beta
    return total / len(rows)
