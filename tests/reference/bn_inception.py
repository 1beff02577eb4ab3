"""BN-Inception on one image, layer by layer in float64, from the table of its model definition."""

import numpy as np

from tests.reference.convolutional import (
    ceil_max_pool,
    convolve,
    normalize,
    padded_average_pool,
    padded_max_pool,
    relu,
)

# name: channels in and out, side of the window, stride.
CONVOLUTIONS = {
    "conv1_7x7_s2": (3, 64, 7, 2),
    "conv2_3x3_reduce": (64, 64, 1, 1),
    "conv2_3x3": (64, 192, 3, 1),
}
# module: channels in; then out of 1x1, 3x3_reduce, 3x3, double_3x3_reduce, double_3x3_1, double_3x3_2, pool_proj.
TABLE = """
3a  192  64  64  64  64  96  96  32
3b  256  64  64  96  64  96  96  64
3c  320   0 128 160  64  96  96   0
4a  576 224  64  96  96 128 128 128
4b  576 192  96 128  96 128 128 128
4c  576 160 128 160 128 160 160 128
4d  608  96 128 192 160 192 192 128
4e  608   0 128 192 192 256 256   0
5a 1056 352 192 320 160 224 224 128
5b 1024 352 192 320 192 224 224 128
"""
MODULES = tuple(line.split()[0] for line in TABLE.split("\n") if line)
HALVING = ("3c", "4e")

for line in TABLE.strip().split("\n"):
    module, *numbers = line.split()
    entry, plain, reduce, triple, double_reduce, double_1, double_2, projection = map(int, numbers)
    name, stride = f"inception_{module}", 2 if module in HALVING else 1
    if plain:
        CONVOLUTIONS[f"{name}_1x1"] = (entry, plain, 1, 1)
    CONVOLUTIONS[f"{name}_3x3_reduce"] = (entry, reduce, 1, 1)
    CONVOLUTIONS[f"{name}_3x3"] = (reduce, triple, 3, stride)
    CONVOLUTIONS[f"{name}_double_3x3_reduce"] = (entry, double_reduce, 1, 1)
    CONVOLUTIONS[f"{name}_double_3x3_1"] = (double_reduce, double_1, 3, 1)
    CONVOLUTIONS[f"{name}_double_3x3_2"] = (double_1, double_2, 3, stride)
    if projection:
        CONVOLUTIONS[f"{name}_pool_proj"] = (entry, projection, 1, 1)


def bn_inception(image, tensors):
    """Feature map of one (H, W, 3) image, with the tensors of Keras's names."""

    def unit(features, name):
        strides = CONVOLUTIONS[name][3]
        features = convolve(features, tensors[f"{name}/kernel"], tensors[f"{name}/bias"], strides)
        return relu(normalize(features, tensors, f"{name}_bn", 1e-5))

    features = ceil_max_pool(unit(image, "conv1_7x7_s2"))
    features = ceil_max_pool(unit(unit(features, "conv2_3x3_reduce"), "conv2_3x3"))
    for module in MODULES:
        name = f"inception_{module}"
        triple = unit(unit(features, f"{name}_3x3_reduce"), f"{name}_3x3")
        double = unit(unit(features, f"{name}_double_3x3_reduce"), f"{name}_double_3x3_1")
        double = unit(double, f"{name}_double_3x3_2")
        if module in HALVING:
            branches = [triple, double, ceil_max_pool(features)]
        else:
            pooled = padded_max_pool(features, 1) if module == "5b" else padded_average_pool(features)
            plain = unit(features, f"{name}_1x1")
            branches = [plain, triple, double, unit(pooled, f"{name}_pool_proj")]
        features = np.concatenate(branches, axis=2)
    return features
