"""Retrieval metrics as plain loops over the definitions."""


def retrieval_metrics_loops(embeddings, labels, ref_embeddings=None, ref_labels=None, ks=(1,)):
    own = ref_embeddings is None
    if own:
        ref_embeddings, ref_labels = embeddings, labels
    totals = {"P@1": 0.0, "P@R": 0.0, "MAP@R": 0.0, **{f"R@{k}": 0.0 for k in ks}}
    queries = 0
    for i, query in enumerate(embeddings):
        ranked = []
        for j, reference in enumerate(ref_embeddings):
            if own and j == i:
                continue
            squared = 0.0
            for a, b in zip(query, reference, strict=True):
                squared += (float(a) - float(b)) ** 2
            ranked.append((squared, j))
        ranked.sort()
        correct = [int(ref_labels[j]) == int(labels[i]) for _, j in ranked]
        positives = sum(correct)
        if positives == 0:
            continue
        queries += 1
        totals["P@1"] += correct[0]
        totals["P@R"] += sum(correct[:positives]) / positives
        precisions = 0.0
        for k in range(1, positives + 1):
            if correct[k - 1]:
                precisions += sum(correct[:k]) / k
        totals["MAP@R"] += precisions / positives
        for k in ks:
            totals[f"R@{k}"] += any(correct[:k])
    return {name: total / queries for name, total in totals.items()}


def collection_metrics_loops(folds, labels, ref_folds=None, ref_labels=None, ks=(1,)):
    """(choice, metrics) of every collection of one model a fold, by way of its concatenated embeddings."""
    choices = [()]
    for fold in folds:
        choices = [(*choice, repeat) for choice in choices for repeat in range(len(fold))]
    results = []
    for choice in choices:
        queries = _concatenated(folds, choice)
        references = None if ref_folds is None else _concatenated(ref_folds, choice)
        results.append((choice, retrieval_metrics_loops(queries, labels, references, ref_labels, ks)))
    return results


def _concatenated(folds, choice):
    models = [fold[repeat] for fold, repeat in zip(folds, choice, strict=True)]
    return [[value for model in models for value in model[i]] for i in range(len(models[0]))]
