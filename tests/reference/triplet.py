"""The triplet loss and its minings as plain loops over triplets."""

from tests.reference.pairs import average_nonzero, distance, partners


def triplet(*batch, margin, mining="all"):
    terms = []
    for _, positives, negatives in partners(distance, *batch):
        if not positives or not negatives:
            continue
        if mining == "all":
            for d_ap in positives:
                for d_an in negatives:
                    terms.append(max(d_ap - d_an + margin, 0.0))
        elif mining == "semi_hard":
            for d_ap in positives:
                farther = [d_an for d_an in negatives if d_an > d_ap]
                chosen = min(farther) if farther else max(negatives)
                terms.append(max(d_ap - chosen + margin, 0.0))
        else:
            terms.append(max(max(positives) - min(negatives) + margin, 0.0))
    return average_nonzero(terms)
