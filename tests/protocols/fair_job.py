"""A fair protocol that trains its 12 runs in seconds."""

from tests.tiny_job import SHARED, job_values

TRAINING = {**SHARED["training"], "steps": 4, "evaluate_every": 2}
GSP = {"name": "GSPLayer", "num_prototypes": 8, "mu": 0.3, "epsilon": 10.0}


def fair_values(**changes):
    """The job as plain values: GSP on Digits Mixture, 4 folds, 3 repeats, 2 x 2 steps; changes as in ``job_values``."""
    return job_values(**{
        "protocol": {"name": "fair", "folds": 4},
        "seeds": [0, 1, 2],
        "data": {"name": "digits_mixture", "images_per_class": 2},
        "prototypes": {"initializer": "k_center", "num_features": 64, "warmup_steps": 1},
        "training": TRAINING,
        "methods": {"GSP": {"model": {"pooling": GSP}}},
        **changes,
    })
