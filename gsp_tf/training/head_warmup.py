"""Training the head alone for a while."""

from tensorflow import keras

from gsp_tf.ops.checks import check_count
from gsp_tf.ops.replicas import as_array


class HeadWarmup(keras.callbacks.Callback):
    """Hold the backbone still for the first optimizer steps, while the head and the proxies learn.

    The gradients of the learner's ``backbone_variables`` are multiplied by 0, and Adam does not move what has never had
    a gradient. Batch-norm statistics still follow the data. Source: the proxy losses of the GSP paper's protocols
    warm up for one epoch.

    Args:
        steps: optimizer steps, at least 1.

    Raises:
        ValueError: when training begins and the learner has no ``backbone_variables`` to hold, or its optimizer has a
            decoupled ``weight_decay``, which no gradient holds back.
    """

    def __init__(self, steps):
        super().__init__()
        self.steps = check_count("steps", steps)

    def on_train_begin(self, logs=None):
        if not self.model.backbone:
            raise ValueError("HeadWarmup needs MetricLearner(..., backbone_variables=...): name what is to be held")
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if getattr(optimizer, "weight_decay", None):
            raise ValueError(
                "HeadWarmup holds gradients, and the optimizer's weight_decay shrinks the backbone without one; got "
                f"{optimizer.weight_decay}: give MetricLearner a (coupled) weight_decay, or leave HeadWarmup out"
            )
        self._set()

    def on_train_batch_begin(self, batch, logs=None):
        if self._holding:
            self._set()

    def _set(self):
        self._holding = int(as_array(self.model.optimizer.iterations)) < self.steps
        self.model.backbone_scale.assign(0.0 if self._holding else 1.0)
