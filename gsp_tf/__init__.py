"""Deep metric learning in TensorFlow and Keras, around Generalized Sum Pooling."""

from gsp_tf.stack import check_stack

check_stack()

from gsp_tf import data, losses, metrics, pooling, transport  # noqa: E402
from gsp_tf.losses import ContrastiveLoss  # noqa: E402
from gsp_tf.pooling import (  # noqa: E402
    GAPGMPPooling,
    GAPPooling,
    GMPPooling,
    GSPLayer,
    L2Normalize,
    PrototypeInitializer,
)
from gsp_tf.regularizers import ZeroShotRegularizer  # noqa: E402
from gsp_tf.training import AlternatingProjections, HeadWarmup, MetricLearner, RetrievalEvaluation  # noqa: E402
from gsp_tf.version import __version__  # noqa: E402

__all__ = [
    "AlternatingProjections",
    "ContrastiveLoss",
    "GAPGMPPooling",
    "GAPPooling",
    "GMPPooling",
    "GSPLayer",
    "HeadWarmup",
    "L2Normalize",
    "MetricLearner",
    "PrototypeInitializer",
    "RetrievalEvaluation",
    "ZeroShotRegularizer",
    "__version__",
    "data",
    "losses",
    "metrics",
    "pooling",
    "transport",
]
