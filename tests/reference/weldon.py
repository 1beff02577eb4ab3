"""WELDON pooling as plain loops over its formula, one sample at a time, in float64."""


def number(k, count):
    return max(1, min(round(k * count) if isinstance(k, float) else k, count))


def weldon_sample(features, k_max, k_min, valid=None):
    kept = [feature for j, feature in enumerate(features) if valid is None or valid[j]]
    pooled = []
    for channel in range(len(features[0])):
        values = sorted(float(feature[channel]) for feature in kept)
        if not values:
            pooled.append(0.0)
            continue
        high, low = number(k_max, len(values)), number(k_min, len(values))
        pooled.append((sum(values[-high:]) / high + sum(values[:low]) / low) / 2)
    return pooled
