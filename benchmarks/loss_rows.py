"""What losses.py compares: our losses, and how pytorch-metric-learning is told to compute the same.

Not all are the same formula; where theirs is another, its row says so.
"""

import sys
from typing import NamedTuple

import numpy as np

from gsp_tf import losses

try:
    import torch
    from pytorch_metric_learning import distances, miners, reducers, regularizers
    from pytorch_metric_learning import losses as peers
except ImportError as error:
    sys.exit(f"{error}: benchmarks/losses.py compares with it; install it with pip install -e '.[benchmark]'")

DIM, PER_CLASS, CLASSES, CENTERS, MEMORY = 128, 4, 100, 10, 4


def random_batch(size):
    """Labels and embeddings as early in training: similarities about 0.6 within a class, 0.5 between classes."""
    rng = np.random.default_rng(0)
    classes = np.arange(size) // PER_CLASS
    shared, centers, own = (rng.normal(size=(count, DIM)) for count in (1, size, size))
    x = np.sqrt(0.5) * shared + np.sqrt(0.1) * centers[classes] + np.sqrt(0.4) * own
    return classes, x.astype(np.float32)


def random_proxies(per_class):
    return np.random.default_rng(1).normal(size=(CLASSES * per_class, DIM)).astype(np.float32)


class Row(NamedTuple):
    """What makes our loss and theirs for a batch size, both called with labels and embeddings; theirs in words."""

    ours: object
    theirs: object
    peer: str
    same: bool = True


def always(loss):
    return lambda size: loss


def with_proxies(make, **kwargs):
    def build(size):
        loss = make(num_classes=CLASSES, embedding_dim=DIM, **kwargs)
        loss.assign(random_proxies(loss.proxies_per_class))
        return lambda labels, x: loss(labels % CLASSES, x)

    return build


def peer(loss, miner=None):
    return always(lambda labels, x: loss(x, labels, miner and miner(x, labels)))


def peer_with_proxies(make, **kwargs):
    def build(size):
        loss = make(num_classes=CLASSES, embedding_size=DIM, **kwargs)
        (parameter,) = loss.parameters()
        proxies = torch.from_numpy(random_proxies(kwargs.get("centers_per_class", 1)))
        parameter.data = proxies if parameter.shape == proxies.shape else proxies.T.contiguous()
        return (lambda labels, x: loss(x, labels % CLASSES)), parameter

    return build


def peer_soft_triple(size):
    # Its mask takes a parallel loop to make, and so must not be made before processes are forked.
    spread = regularizers.SparseCentersRegularizer(CLASSES, CENTERS)
    regularized = {"weight_regularizer": spread, "weight_reg_weight": 0.2}
    return peer_with_proxies(peers.SoftTripleLoss, centers_per_class=CENTERS, **regularized)(size)


def peer_contrastive_of_proxies(size):
    loss, classes = peers.ContrastiveLoss(0, 1), torch.arange(CLASSES)
    proxies = torch.nn.Parameter(torch.from_numpy(random_proxies(1)))
    return (lambda labels, x: loss(x, labels % CLASSES, ref_emb=proxies, ref_labels=classes)), proxies


def peer_memory(size):
    # Theirs puts the batch into the memory first.
    memory = peers.CrossBatchMemory(COSINES, DIM, memory_size=(MEMORY + 1) * size)
    return lambda labels, x: memory(x, labels) / size


EUCLIDEAN = {"distance": distances.LpDistance()}
COSINES = peers.ContrastiveLoss(1, 0, distance=distances.CosineSimilarity(), reducer=reducers.SumReducer())
MEANS = peers.ContrastiveLoss(0.8, 1.2, reducer=reducers.MeanReducer())
TRIPLETS = peers.TripletMarginLoss(margin=0.1, triplets_per_anchor="all")
SIMILARITIES = peers.MultiSimilarityLoss(alpha=2, beta=40, base=0.5)
C1, C2 = losses.SimilarityContrastiveLoss(margin=0.0), losses.ContrastiveLoss(0.0, 1.0)
SEMI_HARD = always(losses.TripletLoss(0.1, "semi_hard"))
ROWS = {
    "Contrastive (C2)": Row(always(C2), peer(peers.ContrastiveLoss(0, 1)), "ContrastiveLoss"),
    "SimilarityContrastive (C1)": Row(
        always(C1),
        lambda size: lambda labels, x: COSINES(x, labels) / size,
        "ContrastiveLoss of cosines with SumReducer: C1 at margin 0",
    ),
    "GeneralizedContrastive": Row(
        always(losses.GeneralizedContrastiveLoss(alpha=0.2, beta=1.0)),
        peer(MEANS),
        "ContrastiveLoss with MeanReducer, the mean over positive pairs and that over negative ones apart",
        same=False,
    ),
    "Triplet, all": Row(always(losses.TripletLoss(0.1)), peer(TRIPLETS), "TripletMarginLoss of all triplets"),
    "Triplet, semi_hard": Row(
        SEMI_HARD,
        peer(TRIPLETS, miners.TripletMarginMiner(0.1, "semihard", **EUCLIDEAN)),
        "TripletMarginMiner, all semi-hard triplets and so more than ours, one per positive pair",
        same=False,
    ),
    "Triplet, semi_hard (2)": Row(
        SEMI_HARD,
        peer(TRIPLETS, miners.BatchEasyHardMiner("hard", "semihard", **EUCLIDEAN)),
        "BatchEasyHardMiner, one triplet per anchor and so fewer than ours, one per positive pair",
        same=False,
    ),
    "Triplet, hard": Row(
        always(losses.TripletLoss(0.1, "hard")), peer(TRIPLETS, miners.BatchHardMiner(**EUCLIDEAN)), "BatchHardMiner"
    ),
    "MultiSimilarity": Row(always(losses.MultiSimilarityLoss()), peer(SIMILARITIES), "MultiSimilarityLoss"),
    "MultiSimilarity, mined": Row(
        always(losses.MultiSimilarityLoss(miner_epsilon=0.1)),
        peer(SIMILARITIES, miners.MultiSimilarityMiner(0.1)),
        "MultiSimilarityMiner",
    ),
    "ProxyAnchor": Row(
        with_proxies(losses.ProxyAnchorLoss), peer_with_proxies(peers.ProxyAnchorLoss), "ProxyAnchorLoss"
    ),
    "ProxyNCA++": Row(
        with_proxies(losses.ProxyNCALoss, temperature=0.11),
        peer_with_proxies(peers.ProxyNCALoss, softmax_scale=1 / 0.11),
        "ProxyNCALoss with softmax_scale = 1/T",
    ),
    "SoftTriple": Row(
        with_proxies(losses.SoftTripleLoss, centers_per_class=CENTERS),
        peer_soft_triple,
        "SoftTripleLoss with SparseCentersRegularizer",
    ),
    "Proxies + C2": Row(
        with_proxies(losses.Proxies, loss=C2), peer_contrastive_of_proxies, "ContrastiveLoss with ref_emb"
    ),
    "CrossBatchMemory + C1": Row(
        lambda size: losses.CrossBatchMemory(C1, MEMORY, 0, batch_size=size, embedding_dim=DIM),
        peer_memory,
        f"CrossBatchMemory of {MEMORY + 1} batches, the present one in it without gradient, beside our {MEMORY} and it",
        same=False,
    ),
}
