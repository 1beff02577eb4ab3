"""Poolings of local features to one vector."""

from gsp_tf.pooling.cbam import CBAMPooling
from gsp_tf.pooling.crow import CroWPooling
from gsp_tf.pooling.delf import DeLFPooling
from gsp_tf.pooling.gap import GAPPooling
from gsp_tf.pooling.gap_gmp import GAPGMPPooling
from gsp_tf.pooling.gem import GeMPooling
from gsp_tf.pooling.gemax import GeMaxPooling
from gsp_tf.pooling.gmp import GMPPooling
from gsp_tf.pooling.gsop import GSoPPooling
from gsp_tf.pooling.gsp import GSPLayer
from gsp_tf.pooling.l2_normalize import L2Normalize
from gsp_tf.pooling.netvlad import NetVLADPooling
from gsp_tf.pooling.otp import OTPPooling
from gsp_tf.pooling.prototypes import PrototypeInitializer
from gsp_tf.pooling.rot import ROTPooling
from gsp_tf.pooling.smk import SMKPooling
from gsp_tf.pooling.solar import SOLARPooling
from gsp_tf.pooling.uot import UOTPooling
from gsp_tf.pooling.weldon import WELDONPooling

# Names in configs.
POOLINGS = {
    "GAPPooling": GAPPooling,
    "GMPPooling": GMPPooling,
    "GAPGMPPooling": GAPGMPPooling,
    "GeMPooling": GeMPooling,
    "GeMaxPooling": GeMaxPooling,
    "CBAMPooling": CBAMPooling,
    "CroWPooling": CroWPooling,
    "DeLFPooling": DeLFPooling,
    "GSoPPooling": GSoPPooling,
    "OTPPooling": OTPPooling,
    "SOLARPooling": SOLARPooling,
    "SMKPooling": SMKPooling,
    "NetVLADPooling": NetVLADPooling,
    "WELDONPooling": WELDONPooling,
    "UOTPooling": UOTPooling,
    "ROTPooling": ROTPooling,
    "GSPLayer": GSPLayer,
}

__all__ = [
    "POOLINGS",
    "CBAMPooling",
    "CroWPooling",
    "DeLFPooling",
    "GAPGMPPooling",
    "GAPPooling",
    "GMPPooling",
    "GSPLayer",
    "GSoPPooling",
    "GeMPooling",
    "GeMaxPooling",
    "L2Normalize",
    "NetVLADPooling",
    "OTPPooling",
    "PrototypeInitializer",
    "ROTPooling",
    "SMKPooling",
    "SOLARPooling",
    "UOTPooling",
    "WELDONPooling",
]
