"""Generalised mean pooling as plain loops over its formula, one sample at a time, in float64."""


def gem_sample(features, p, valid=None):
    """``p`` is a number, or one for every channel."""
    kept = [j for j in range(len(features)) if valid is None or valid[j]]
    pooled = []
    for k in range(len(features[0])):
        exponent = float(p if isinstance(p, (int, float)) else p[k])
        powers = [max(float(features[j][k]), 1e-6) ** exponent for j in kept]
        pooled.append((sum(powers) / len(kept)) ** (1 / exponent) if kept else 0.0)
    return pooled
