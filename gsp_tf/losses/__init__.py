"""Losses that compare a batch of embeddings with a reference set: the batch itself, proxies, or a memory."""

from gsp_tf.losses.class_margins import ClassMargins
from gsp_tf.losses.contrastive import ContrastiveLoss
from gsp_tf.losses.cross_batch_memory import CrossBatchMemory
from gsp_tf.losses.generalized_contrastive import GeneralizedContrastiveLoss
from gsp_tf.losses.intra_batch import IntraBatchLoss
from gsp_tf.losses.loss_layer import LossLayer
from gsp_tf.losses.multi_similarity import MultiSimilarityLoss
from gsp_tf.losses.pair_loss import PairLoss
from gsp_tf.losses.projection import Projection
from gsp_tf.losses.proxies import Proxies
from gsp_tf.losses.proxy_anchor import ProxyAnchorLoss
from gsp_tf.losses.proxy_loss import ProxyLoss
from gsp_tf.losses.proxy_nca import ProxyNCALoss
from gsp_tf.losses.similarity_contrastive import SimilarityContrastiveLoss
from gsp_tf.losses.soft_triple import SoftTripleLoss
from gsp_tf.losses.triplet import TripletLoss

__all__ = [
    "ClassMargins",
    "ContrastiveLoss",
    "CrossBatchMemory",
    "GeneralizedContrastiveLoss",
    "IntraBatchLoss",
    "LossLayer",
    "MultiSimilarityLoss",
    "PairLoss",
    "Projection",
    "Proxies",
    "ProxyAnchorLoss",
    "ProxyLoss",
    "ProxyNCALoss",
    "SimilarityContrastiveLoss",
    "SoftTripleLoss",
    "TripletLoss",
]
