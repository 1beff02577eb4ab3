"""The generalised contrastive loss as plain loops; ``beta`` is one boundary, or a list with one per class."""

from tests.reference.pairs import average_nonzero, distance, partners


def generalized_contrastive(*batch, alpha, beta, average="all"):
    pull, push = [], []
    for label, positives, negatives in partners(distance, *batch):
        boundary = beta[label] if isinstance(beta, list) else beta
        for d in positives:
            pull.append(max(d - boundary + alpha, 0.0))
        for d in negatives:
            push.append(max(boundary - d + alpha, 0.0))
    if average == "nonzero":
        return average_nonzero(pull) + average_nonzero(push)
    count = len(pull) + len(push)
    return (sum(pull) + sum(push)) / count if count else 0.0
