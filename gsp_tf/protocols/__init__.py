"""Which runs a protocol has, and how their results are averaged."""

from gsp_tf.protocols.comparison import comparison
from gsp_tf.protocols.conventional import conventional
from gsp_tf.protocols.fair import fair
from gsp_tf.protocols.protocol import PlannedRun, Protocol, planned_runs
from gsp_tf.protocols.tuning import tuning

PROTOCOLS = {"comparison": comparison, "fair": fair, "conventional": conventional, "tuning": tuning}

__all__ = ["PROTOCOLS", "PlannedRun", "Protocol", "comparison", "conventional", "fair", "planned_runs", "tuning"]
