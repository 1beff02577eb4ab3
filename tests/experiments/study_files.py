"""Studies of runs that take four steps, and a training that takes none."""

import json

import numpy as np

from gsp_tf.experiments.search import main
from gsp_tf.training.config import as_plain
from gsp_tf.training.provenance import config_hash
from tests.tiny_job import GSP, METHODS, job_values, write_yaml

MU = {"key": "model.pooling.mu", "values": [0.3, 0.7]}
SCREENING = {
    "m": {"key": "model.pooling.num_prototypes", "values": [16, 128]},
    "mu": MU,
    "epsilon": {"key": "model.pooling.epsilon", "values": [0.5, 20.0]},
    "lambda": {"key": "regularizer.weight", "values": [0.1, 0.5]},
}
WEIGHT = {"key": "regularizer.weight", "low": 1e-6, "high": 1.0, "log": True}


def study_file(folder, job=None, **changes):
    """A study of two values of mu, with changes (None leaves a key out), over a job whose runs take four steps."""
    training = {**job_values()["training"], "steps": 4}
    values = {"protocol": {"name": "tuning"}, "training": training,
              "prototypes": {"initializer": "random"}, "methods": {**METHODS, "GSP": {"model": {"pooling": GSP}}}}
    write_yaml(folder / "job.yaml", job_values(**{**values, **(job or {})}))
    study = {"name": "tiny_study", "config": "job.yaml", "method": "GSP", "design": "grid", "parameters": {"mu": MU},
             **changes}
    return write_yaml(folder / "study.yaml", {key: value for key, value in study.items() if value is not None})


def bayesian(folder, trials=8, job=None, **changes):
    return study_file(folder, job, **{"method": {"Z": "GSP+ZSR"}, "design": "bayesian", "trials": trials,
                                      "parameters": {"weight": WEIGHT}, **changes})


def search(path, folder, *arguments):
    return main([str(path), "--out", str(folder), *map(str, arguments)])


class FakeTraining:
    """In place of training: a score that a config fixes, best at regularizer.weight = 1e-3; may be killed."""

    def __init__(self, monkeypatch, killed_at=None):
        self.trained, self.killed_at = [], killed_at
        monkeypatch.setattr("gsp_tf.protocols.runner.train_run", self)
        monkeypatch.setattr("gsp_tf.experiments.trial_runner.check_buildable", lambda config: None)
        # It frees the memory of models, of which there are none; and it takes half a second.
        monkeypatch.setattr("gsp_tf.protocols.runner.keras.backend.clear_session", lambda: None)

    def __call__(self, config, seed, directory, strategy, description, measured_on, title):
        if (directory / "result.json").exists():
            return
        if len(self.trained) == self.killed_at:
            raise KeyboardInterrupt
        self.trained.append(f"{description['method']} {description['repeat']}")
        plain = as_plain(config)
        score = 0.5 + 0.01 * description["repeat"]
        if config.regularizer is not None:
            score -= 0.02 * (np.log10(config.regularizer.arguments["weight"]) + 3) ** 2
        result = {**description, "seed": seed, "measured_on": measured_on, "seconds": 1.0, "config": plain,
                  "config_hash": config_hash(plain), "test_hash": "t", "split_hash": "s", "versions": {},
                  "validation": {"MAP@R": score, "P@1": score}}
        (directory / "result.json").write_text(json.dumps(result))
