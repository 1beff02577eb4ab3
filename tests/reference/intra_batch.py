"""Intra-batch connections as plain loops (Seidenschwarz et al. 2021)."""

import math

from tests.reference.pairs import normalized


def dense(vector, kernel, bias=None):
    """x K + b of one vector."""
    return [
        sum(float(x) * float(kernel[i][j]) for i, x in enumerate(vector)) + (0.0 if bias is None else float(bias[j]))
        for j in range(len(kernel[0]))
    ]


def layer_norm(vector, scale, shift, epsilon=1e-5):
    mean = sum(vector) / len(vector)
    variance = sum((x - mean) ** 2 for x in vector) / len(vector)
    return [(x - mean) / math.sqrt(variance + epsilon) * g + b for x, g, b in zip(vector, scale, shift, strict=True)]


def attention(nodes, weights):
    """W Σ_j α_ij v_j + b for every node i; kernels of (D, heads, D / heads), the last of (heads, D / heads, D)."""
    query, query_bias, key, key_bias, value, value_bias, joint, joint_bias = weights
    messages = [[float(b) for b in joint_bias] for _ in nodes]
    for head in range(query.shape[1]):
        queries = [dense(h, query[:, head], query_bias[head]) for h in nodes]
        keys = [dense(h, key[:, head], key_bias[head]) for h in nodes]
        values = [dense(h, value[:, head], value_bias[head]) for h in nodes]
        for i, q in enumerate(queries):
            scores = [math.exp(sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(len(q))) for k in keys]
            joined = [
                sum(s * v[d] for s, v in zip(scores, values, strict=True)) / sum(scores) for d in range(len(q))
            ]
            messages[i] = [m + x for m, x in zip(messages[i], dense(joined, joint[head]), strict=True)]
    return messages


def refine(nodes, blocks):
    """The nodes after all blocks, each a dict of ``attention``, ``norm``, ``hidden``, ``output``, ``output_norm``."""
    for block in blocks:
        refined = []
        for node, message in zip(nodes, attention(nodes, block["attention"]), strict=True):
            f = layer_norm([h + m for h, m in zip(node, message, strict=True)], *block["norm"])
            hidden = [max(0.0, x) for x in dense(f, *block["hidden"])]
            output = dense(hidden, *block["output"])
            refined.append(layer_norm([a + b for a, b in zip(f, output, strict=True)], *block["output_norm"]))
        nodes = refined
    return nodes


def cross_entropy(labels, nodes, classifier, temperature, smoothing):
    total = 0.0
    for label, node in zip(labels, nodes, strict=True):
        scores = [s / temperature for s in dense(node, classifier)]
        top = max(scores)
        log_sum = top + math.log(sum(math.exp(s - top) for s in scores))
        for c, score in enumerate(scores):
            target = smoothing / len(scores) + (1 - smoothing if c == int(label) else 0.0)
            total -= target * (score - log_sum)
    return total / len(labels)


def intra_batch(labels, embeddings, blocks, refined, plain, temperature, smoothing, weight, normalize=True):
    """CE of the refined embeddings + ``weight`` · CE of the plain ones."""
    nodes = [normalized(x) if normalize else [float(u) for u in x] for x in embeddings]
    return cross_entropy(labels, refine(nodes, blocks), refined, temperature, smoothing) + weight * cross_entropy(
        labels, nodes, plain, temperature, smoothing
    )
