import json

import numpy as np
import pytest
from tensorflow import keras

from gsp_tf.training.config import parse_run
from gsp_tf.training.distribution import build_strategy
from gsp_tf.training.plateau import count_plateaus
from gsp_tf.training.run import train_run
from gsp_tf.training.training_state import TrainingState
from tests.tiny_job import run_values

SCORES = [0.5, 0.4, 0.5, 0.6, 0.3, 0.2, 0.1, 0.1, 0.7]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_count_is_keras_s_own(patience):
    """Keras's callback, which keeps its state in itself, is the judge of the function of the history."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0))
    judge = keras.callbacks.ReduceLROnPlateau("score", factor=0.5, patience=patience, mode="max", min_delta=0)
    judge.set_model(model)
    judge.on_train_begin()
    for epoch, score in enumerate(SCORES):
        judge.on_epoch_end(epoch, {"score": score})
        rate = float(np.array(model.optimizer.learning_rate))
        assert rate == 0.5 ** count_plateaus(SCORES[: epoch + 1], patience)


class Killed(BaseException):
    pass


def train(directory, monkeypatch, kill_after=None):
    """A run whose validation scores never rise, so that the rate falls at every second evaluation."""
    config = parse_run(run_values("GAP", steps=10, evaluate_every=2, plateau={"factor": 0.5, "patience": 1}), "here")
    saved = TrainingState.on_epoch_end
    calls = []

    def on_epoch_end(self, epoch, logs=None):
        saved(self, epoch, logs)
        calls.append(epoch)
        if len(calls) == kill_after:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "on_epoch_end", on_epoch_end)
        patch.setattr("gsp_tf.training.evaluation.retrieval_metrics", lambda *_, **__: {
            "MAP@R": 0.5, "P@1": 0.5, "P@R": 0.5,
        })
        train_run(config, 0, directory, build_strategy("one_device"), {"method": "GAP"})
    return json.loads((directory / "result.json").read_text())["evaluations"]


def test_a_killed_run_goes_on_with_the_rate_it_had(tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", monkeypatch)
    assert [row["learning_rate"] for row in whole] == pytest.approx([1e-3 * 0.5**count for count in range(5)])
    with pytest.raises(Killed):
        train(tmp_path / "killed", monkeypatch, kill_after=3)
    assert train(tmp_path / "killed", monkeypatch) == whole


def test_the_monitored_score_chooses_the_weights(tmp_path, monkeypatch):
    scores = iter([(0.1, 0.9), (0.9, 0.1), (0.5, 0.5), (0.5, 0.5)])

    def metrics(*_, **__):
        found = next(scores)
        return {"MAP@R": found[0], "P@1": found[1], "P@R": 0.0}

    monkeypatch.setattr("gsp_tf.training.evaluation.retrieval_metrics", metrics)
    config = parse_run(run_values("GAP", steps=6, evaluate_every=2, monitor="P@1"), "here")
    result = train_run(config, 0, tmp_path / "run", build_strategy("one_device"), {"method": "GAP"})
    assert result["best_step"] == 2 and result["validation"]["P@1"] == 0.9
