"""A learning rate that falls when the validation score no longer rises."""

from tensorflow import keras


def count_plateaus(scores, patience):
    """How often ``patience`` scores in a row were none above the best before them.

    Args:
        scores: numbers in the order of time; higher is better.
        patience: at least 1.

    >>> count_plateaus([0.5, 0.4, 0.5, 0.3, 0.6, 0.1], patience=2)
    1
    """
    best, waited, count = float("-inf"), 0, 0
    for score in scores:
        if score > best:
            best, waited = score, 0
            continue
        waited += 1
        if waited == patience:
            waited, count = 0, count + 1
    return count


class PlateauDecay(keras.callbacks.Callback):
    """Multiply the optimizer's learning rate by ``factor`` after each ``patience`` epochs without a better score.

    η = η₀ · factor^(number of plateaus), see :func:`count_plateaus`. Unlike Keras's ReduceLROnPlateau it has no memory
    of its own: the rate is a function of the scores so far, so a resumed run goes on as it would have.

    Args:
        history: list of dicts with the scores of the epochs that are done; another callback adds to it after this one.
        learning_rate: η₀ > 0, that of the first step.
        factor: in (0, 1).
        patience: epochs, at least 1.
        monitor: key of the logs and of the history's rows; higher is better.

    Source: the conventional protocol of the GSP paper's supplement (factor 0.5, patience 4).
    """

    def __init__(self, history, learning_rate, factor, patience, monitor="val_MAP@R"):
        super().__init__()
        self.history, self.learning_rate, self.monitor = history, learning_rate, monitor
        self.factor, self.patience = factor, patience

    def on_train_begin(self, logs=None):
        self._set([row[self.monitor] for row in self.history])

    def on_epoch_end(self, epoch, logs=None):
        rate = self._set([*(row[self.monitor] for row in self.history), logs[self.monitor]])
        logs["learning_rate"] = rate

    def _set(self, scores):
        rate = self.learning_rate * self.factor ** count_plateaus(scores, self.patience)
        self.model.optimizer.learning_rate = rate
        return rate
