"""Regularisers of prototypes."""

from gsp_tf.regularizers.zero_shot import ZeroShotRegularizer

__all__ = ["ZeroShotRegularizer"]
