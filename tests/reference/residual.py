"""The residual networks on one image, layer by layer in float64; tensors are those of Keras's names."""

import numpy as np

from tests.reference.convolutional import convolve, normalize, padded_max_pool, relu


class Tensors:
    """Convolutions and batch-norms of a dict of ``layer/variable``."""

    def __init__(self, tensors, epsilon):
        self.tensors = tensors
        self.epsilon = epsilon

    def convolve(self, features, name, strides=1):
        return convolve(features, self.tensors[f"{name}/kernel"], self.tensors.get(f"{name}/bias"), strides)

    def normalize(self, features, name):
        return normalize(features, self.tensors, name, self.epsilon)


def resnet20(image, tensors):
    net = Tensors(tensors, 1e-5)
    features = relu(net.normalize(net.convolve(image, "conv"), "bn"))
    for stage in (1, 2, 3):
        for block in (1, 2, 3):
            name = f"stage{stage}_block{block}"
            strides = 2 if name in ("stage2_block1", "stage3_block1") else 1
            inner = relu(net.normalize(net.convolve(features, f"{name}_conv1", strides), f"{name}_bn1"))
            inner = net.normalize(net.convolve(inner, f"{name}_conv2"), f"{name}_bn2")
            shortcut = np.zeros_like(inner)
            for i, j in np.ndindex(*inner.shape[:2]):
                shortcut[i, j, : features.shape[2]] = features[strides * i, strides * j]
            features = relu(inner + shortcut)
    return features


def resnet_v2_20(image, tensors):
    net = Tensors(tensors, 1e-5)
    features = relu(net.normalize(net.convolve(image, "conv"), "bn"))
    for name in ("stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2", "stage3_block1", "stage3_block2"):
        strides = 2 if name in ("stage2_block1", "stage3_block1") else 1
        inner = features if name == "stage1_block1" else relu(net.normalize(features, f"{name}_bn1"))
        inner = net.convolve(inner, f"{name}_conv1", strides)
        inner = net.convolve(relu(net.normalize(inner, f"{name}_bn2")), f"{name}_conv2")
        inner = net.convolve(relu(net.normalize(inner, f"{name}_bn3")), f"{name}_conv3")
        if name.endswith("block1"):
            features = net.convolve(features, f"{name}_shortcut", strides)
        features = features + inner
    return relu(net.normalize(features, "last_bn"))


def resnet50_torch(image, tensors):
    net = Tensors(tensors, 1e-5)
    features = padded_max_pool(relu(net.normalize(net.convolve(image, "conv1", 2), "bn1")), 2)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            strides = 2 if stage > 1 and block == 0 else 1
            inner = relu(net.normalize(net.convolve(features, f"{name}.conv1"), f"{name}.bn1"))
            inner = relu(net.normalize(net.convolve(inner, f"{name}.conv2", strides), f"{name}.bn2"))
            inner = net.normalize(net.convolve(inner, f"{name}.conv3"), f"{name}.bn3")
            if block == 0:
                shortcut = net.convolve(features, f"{name}.downsample.0", strides)
                features = net.normalize(shortcut, f"{name}.downsample.1")
            features = relu(features + inner)
    return features
