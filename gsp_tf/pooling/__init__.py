"""Poolings of local features to one vector."""

from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.gap_gmp import GAPGMPPooling
from gsp_tf.pooling.gmp import GMPPooling
from gsp_tf.pooling.gsp import GSPLayer
from gsp_tf.pooling.l2_normalize import L2Normalize
from gsp_tf.pooling.prototypes import PrototypeInitializer

__all__ = ["GAPGMPPooling", "GAPPooling", "GMPPooling", "GSPLayer", "L2Normalize", "PrototypeInitializer"]
