"""Losses that compare a batch of embeddings with a reference set."""

from gsp_tf.losses.contrastive import ContrastiveLoss
from gsp_tf.losses.pair_loss import PairLoss

__all__ = ["ContrastiveLoss", "PairLoss"]
