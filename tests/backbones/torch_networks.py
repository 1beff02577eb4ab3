"""BN-Inception and ResNet50 of PyTorch's modules, with the names of their published checkpoints."""

import torch
from torch import nn

from tests.reference.bn_inception import CONVOLUTIONS, HALVING, MODULES


class BNInception(nn.Module):
    def __init__(self):
        super().__init__()
        for name, (entry, width, size, stride) in CONVOLUTIONS.items():
            self.add_module(name, nn.Conv2d(entry, width, size, stride, size // 2))
            self.add_module(f"{name}_bn", nn.BatchNorm2d(width, eps=1e-5))
        self.max_pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.last_max_pool = nn.MaxPool2d(3, 1, 1, ceil_mode=True)
        self.average_pool = nn.AvgPool2d(3, 1, 1, ceil_mode=True, count_include_pad=True)
        self.last_linear = nn.Linear(1024, 7)

    def unit(self, features, name):
        return torch.relu(self.get_submodule(f"{name}_bn")(self.get_submodule(name)(features)))

    def forward(self, images):
        features = self.max_pool(self.unit(images, "conv1_7x7_s2"))
        features = self.max_pool(self.unit(self.unit(features, "conv2_3x3_reduce"), "conv2_3x3"))
        for module in MODULES:
            name = f"inception_{module}"
            branches = [self.unit(self.unit(features, f"{name}_3x3_reduce"), f"{name}_3x3")]
            double = self.unit(self.unit(features, f"{name}_double_3x3_reduce"), f"{name}_double_3x3_1")
            branches.append(self.unit(double, f"{name}_double_3x3_2"))
            if module in HALVING:
                branches.append(self.max_pool(features))
            else:
                branches.insert(0, self.unit(features, f"{name}_1x1"))
                pool = self.last_max_pool if module == "5b" else self.average_pool
                branches.append(self.unit(pool(features), f"{name}_pool_proj"))
            features = torch.cat(branches, 1)
        return features


class Bottleneck(nn.Module):
    def __init__(self, entry, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(entry, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if entry != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(entry, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, features):
        inner = torch.relu(self.bn1(self.conv1(features)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        shortcut = features if self.downsample is None else self.downsample(features)
        return torch.relu(self.bn3(self.conv3(inner)) + shortcut)


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        entry = 64
        for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(entry, width, 2 if stage > 1 and block == 0 else 1))
                entry = 4 * width
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.fc = nn.Linear(2048, 7)

    def forward(self, images):
        features = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        for stage in range(1, 5):
            features = self.get_submodule(f"layer{stage}")(features)
        return features


def randomized(network, seed=0):
    """The network in inference mode, every tensor random, with a spread of features that does not vanish."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()
