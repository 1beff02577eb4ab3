"""One progress bar for a whole run."""

from tensorflow import keras
from tqdm import tqdm


class ProgressBar(keras.callbacks.Callback):
    """A line a run: steps done, time left, loss and the latest validation score.

    Keras's own bar begins a line every epoch; a job of many runs would scroll its table away.

    Args:
        title: name of the run; None shows nothing.
        steps: number of steps of the whole run.
        done: steps that an earlier process did.
    """

    def __init__(self, title, steps, done=0):
        super().__init__()
        self._bar = tqdm(
            desc=title, total=steps, initial=done, unit="step", mininterval=0.5, disable=title is None
        )

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update()

    def on_epoch_end(self, epoch, logs=None):
        shown = {key: f"{float(logs[key]):.3f}" for key in ("loss", "val_MAP@R") if key in logs}
        self._bar.set_postfix(shown, refresh=False)

    def close(self):
        """End the line, whether or not training came to its end."""
        self._bar.close()
