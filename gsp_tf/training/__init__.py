"""Training with Keras's fit: the learner, its callbacks, typed configs and run folders."""

from gsp_tf.training.alternating_projections import AlternatingProjections
from gsp_tf.training.evaluation import RetrievalEvaluation
from gsp_tf.training.head_warmup import HeadWarmup
from gsp_tf.training.learner import MetricLearner

__all__ = ["AlternatingProjections", "HeadWarmup", "MetricLearner", "RetrievalEvaluation"]
