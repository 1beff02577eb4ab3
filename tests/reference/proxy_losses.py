"""The proxy losses as plain loops over samples and proxies."""

import math


def normalized(vector):
    length = math.sqrt(sum(float(u) ** 2 for u in vector))
    return [float(u) / length if length > 0 else 0.0 for u in vector]


def _inner(x, y):
    return sum(float(u) * float(v) for u, v in zip(x, y, strict=True))


def _unit(embeddings, proxies, normalize):
    if not normalize:
        return embeddings, proxies
    return [normalized(x) for x in embeddings], [normalized(p) for p in proxies]


def _log_sum_exp(exponents):
    largest = max(exponents)
    return largest + math.log(sum(math.exp(e - largest) for e in exponents))


def proxy_anchor(labels, embeddings, proxies, margin, alpha, normalize=True):
    embeddings, proxies = _unit(embeddings, proxies, normalize)
    pull, push, with_positives = 0.0, 0.0, 0
    for c, proxy in enumerate(proxies):
        positives, negatives = [0.0], [0.0]
        for label, x in zip(labels, embeddings, strict=True):
            if int(label) == c:
                positives.append(-alpha * (_inner(x, proxy) - margin))
            else:
                negatives.append(alpha * (_inner(x, proxy) + margin))
        if len(positives) > 1:
            with_positives += 1
            pull += _log_sum_exp(positives)
        push += _log_sum_exp(negatives)
    return pull / with_positives + push / len(proxies)


def proxy_nca(labels, embeddings, proxies, temperature, distance="euclidean", normalize=True):
    embeddings, proxies = _unit(embeddings, proxies, normalize)
    total = 0.0
    for label, x in zip(labels, embeddings, strict=True):
        scores = []
        for proxy in proxies:
            if distance == "cosine":
                scores.append(_inner(x, proxy) / temperature)
            else:
                scores.append(-sum((float(u) - float(v)) ** 2 for u, v in zip(x, proxy, strict=True)) / temperature)
        total += _log_sum_exp(scores) - scores[int(label)]
    return total / len(labels)


def soft_triple(labels, embeddings, centers, num_classes, lambda_, gamma, tau, margin, normalize=True):
    embeddings, centers = _unit(embeddings, centers, normalize)
    count = len(centers) // num_classes
    total = 0.0
    for label, x in zip(labels, embeddings, strict=True):
        scores = []
        for c in range(num_classes):
            similarities = [_inner(x, center) for center in centers[c * count : (c + 1) * count]]
            top = max(similarities)
            weights = [math.exp((s - top) / gamma) for s in similarities]
            relaxed = sum(w * s for w, s in zip(weights, similarities, strict=True)) / sum(weights)
            scores.append(lambda_ * (relaxed - (margin if c == int(label) else 0.0)))
        total += _log_sum_exp(scores) - scores[int(label)]
    loss = total / len(labels)
    if count > 1:
        spread = 0.0
        for c in range(num_classes):
            for s in range(count):
                for t in range(s):
                    first, second = centers[c * count + s], centers[c * count + t]
                    spread += math.sqrt(sum((float(u) - float(v)) ** 2 for u, v in zip(first, second, strict=True)))
        loss += tau * spread / (num_classes * count * (count - 1))
    return loss
