"""The state of a run that outlives the process: last step, best weights, history, patience."""

import csv
import io
import math
import time

import numpy as np
import tensorflow as tf
from tensorflow import keras

from gsp_tf.errors import UserError
from gsp_tf.ops.replicas import as_array
from gsp_tf.training.checkpoint import load_checkpoint, save_checkpoint, write_text


class TrainingState(keras.callbacks.Callback):
    """Save a run after every epoch, stop it when it no longer improves, and end on its best weights.

    Unlike Keras's EarlyStopping, ModelCheckpoint and CSVLogger, what this has seen survives a kill: a restarted run
    goes on with the same weights, optimizer, best score, patience and log. Stands last among the callbacks.

    Args:
        directory: where ``checkpoint.npz`` and ``log.csv`` go.
        evaluate_every: steps of an epoch, for the log.
        patience: epochs without improvement before stopping, or None.
        monitor: key of the logs; higher is better.
        write: whether this process writes files; the others of a cluster read them only.
    """

    def __init__(self, directory, evaluate_every, patience=None, monitor="val_MAP@R", write=True):
        super().__init__()
        self.directory, self.evaluate_every, self.patience = directory, evaluate_every, patience
        self.monitor, self.write = monitor, write
        self.history = []
        self.best_weights = None
        self._started, self._seconds_before = time.monotonic(), 0.0

    @property
    def seconds(self):
        """Time since this was made, and that of the processes before up to the checkpoint."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def best_epoch(self):
        """Index into ``history`` of the highest score, the first of equals; None before any."""
        scores = [row[self.monitor] for row in self.history]
        return int(np.argmax(scores)) if scores else None

    @property
    def exhausted(self):
        """Whether the patience has run out."""
        return (self.patience is not None and bool(self.history)
                and len(self.history) - 1 - self.best_epoch >= self.patience)

    def restore(self, learner):
        """Take up what an earlier process left; returns the number of epochs that are done."""
        path = self.directory / "checkpoint.npz"
        if path.exists():
            # Room for the best weights, which live in no variable while training goes on.
            best = [tf.Variable(as_array(value)) for value in learner.embedder.weights]
            state = load_checkpoint(path, self._groups(learner, best))
            self.best_weights = [as_array(value) for value in best]
            # In place, for others look at the same list.
            self.history[:], self._seconds_before = state["history"], state["seconds"]
        return len(self.history)

    def on_epoch_end(self, epoch, logs=None):
        row = {"step": (epoch + 1) * self.evaluate_every, **{key: float(value) for key, value in logs.items()}}
        broken = [key for key, value in row.items() if not math.isfinite(value)]
        if broken:
            raise self.diverged(f"{broken[0]} is {row[broken[0]]}", row["step"])
        self.history.append(row)
        if self.best_epoch == len(self.history) - 1:
            self.best_weights = [as_array(value) for value in self.model.embedder.weights]
        if self.write:
            write_text(self.directory / "log.csv", self._csv())
            state = {"history": self.history, "seconds": self.seconds}
            save_checkpoint(self.directory / "checkpoint.npz", self._groups(self.model, self.best_weights), state)
        if self.exhausted:
            self.model.stop_training = True

    def diverged(self, what, step):
        """The error of numbers that are no longer finite."""
        return UserError(
            f"{self.directory}: training diverged: {what} at step {step}; lower training.optimizer.learning_rate and "
            "start with --overwrite or another --out"
        )

    def use_best(self, learner):
        """Put the best weights into the embedder."""
        for variable, value in zip(learner.embedder.weights, self.best_weights, strict=True):
            variable.assign(value)

    def _csv(self):
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.history)
        return text.getvalue()

    @staticmethod
    def _groups(learner, best):
        return {"learner": learner.variables, "optimizer": _optimizer_variables(learner.optimizer), "best": best}


def _optimizer_variables(optimizer):
    variables = optimizer.variables
    variables = list(variables() if callable(variables) else variables)
    if hasattr(optimizer, "dynamic_counter"):
        # Keras 2.15 keeps the loss scale of half precision where only its own checkpoints look.
        scale = tf.train.TrackableView.children(optimizer)["loss_scale"]
        variables += tf.train.TrackableView.children(scale).values()
    return variables
