import csv

import numpy as np
import pytest
from tensorflow import keras

from gsp_tf.errors import UserError
from gsp_tf.training.training_state import TrainingState

SCORES = [0.1, 0.5, 0.3, 0.5, 0.2, 0.9]


class Learner(keras.Model):
    """One weight that grows by one every step: it tells which epoch it is of."""

    def __init__(self):
        super().__init__()
        self.embedder = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        self.embedder.set_weights([np.zeros((1, 1), np.float32)])

    def call(self, inputs):
        return self.embedder(inputs)

    @property
    def weight(self):
        return float(self.embedder.get_weights()[0][0, 0])


class Scores(keras.callbacks.Callback):
    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch, logs=None):
        logs["val_MAP@R"] = self.scores[epoch]


def make_learner():
    learner = Learner()
    # The loss is minus the output of ones: a gradient of -1, so a step of +1.
    learner.compile(keras.optimizers.SGD(1.0), loss=lambda truth, output: -output)
    learner(np.ones((1, 1), np.float32))
    learner.optimizer.build(learner.trainable_variables)
    return learner


def fit(learner, state, scores, epochs, done=0):
    ones = np.ones((2, 1), np.float32)
    callbacks = [Scores(scores), state]
    learner.fit(ones, ones, batch_size=1, epochs=epochs, initial_epoch=done, verbose=0, callbacks=callbacks)


def test_patience_stops_and_the_best_weights_come_back(tmp_path):
    learner, state = make_learner(), TrainingState(tmp_path, evaluate_every=2, patience=3)
    fit(learner, state, SCORES, epochs=6)
    assert [row["val_MAP@R"] for row in state.history] == SCORES[:5]
    assert state.exhausted and state.best_epoch == 1
    assert learner.weight == 10
    state.use_best(learner)
    assert learner.weight == 4


def test_without_patience_every_epoch_is_trained(tmp_path):
    learner, state = make_learner(), TrainingState(tmp_path, evaluate_every=2)
    assert state.best_epoch is None and not state.exhausted
    fit(learner, state, SCORES, epochs=6)
    assert len(state.history) == 6 and state.best_epoch == 5 and not state.exhausted


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_patience_and_best_weights_outlive_the_process(tmp_path, stop):
    fit(make_learner(), TrainingState(tmp_path, 2, patience=3), SCORES, epochs=stop)
    learner, state = make_learner(), TrainingState(tmp_path, 2, patience=3)
    done = state.restore(learner)
    assert done == stop and learner.weight == 2 * stop
    if not state.exhausted:
        fit(learner, state, SCORES, epochs=6, done=done)
    assert [row["step"] for row in state.history] == [2, 4, 6, 8, 10]
    state.use_best(learner)
    assert learner.weight == 4


def test_the_log_is_a_table_of_all_epochs(tmp_path):
    fit(make_learner(), TrainingState(tmp_path, 2), SCORES, epochs=2)
    with open(tmp_path / "log.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert [float(row["val_MAP@R"]) for row in rows] == SCORES[:2]
    assert [float(row["loss"]) for row in rows] == [-0.5, -2.5]


def test_time_goes_on_after_a_restart(tmp_path):
    state = TrainingState(tmp_path, 2)
    state._seconds_before = 100.0
    fit(make_learner(), state, SCORES, epochs=1)
    again = TrainingState(tmp_path, 2)
    again.restore(make_learner())
    assert 100 < again.seconds < 160


def test_a_reader_writes_nothing(tmp_path):
    state = TrainingState(tmp_path, 2, write=False)
    fit(make_learner(), state, SCORES, epochs=1)
    assert len(state.history) == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_stop_the_run_and_leave_its_last_good_state(tmp_path, broken):
    learner, state = make_learner(), TrainingState(tmp_path, 2)
    with pytest.raises(UserError, match="training diverged: val_MAP@R is (nan|inf) at step 4; lower .*learning_rate"):
        fit(learner, state, [0.1, broken], epochs=2)
    again = make_learner()
    assert TrainingState(tmp_path, 2).restore(again) == 1 and again.weight == 2
