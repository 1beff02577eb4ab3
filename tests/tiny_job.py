"""A job that trains in seconds on the paths of a real one: three evaluations, a warm-up that ends at the first."""

import copy

import yaml

GSP = {"name": "GSPLayer", "num_prototypes": 8, "mu": 0.3, "epsilon": 10.0}
SHARED = {
    "data": {"name": "digits_mixture", "images_per_class": 4},
    "model": {"backbone": {"name": "convnet", "channels": [4, 8]}, "local_dim": 8},
    "loss": {"name": "ContrastiveLoss", "pos_margin": 0.0, "neg_margin": 0.5},
    "prototypes": {"initializer": "k_center", "num_features": 256, "warmup_steps": 4},
    "training": {
        "steps": 12,
        "classes_per_batch": 4,
        "samples_per_class": 2,
        "optimizer": {"name": "Adam", "learning_rate": 0.001},
        "evaluate_every": 4,
    },
}
METHODS = {
    "GAP": {"model": {"pooling": {"name": "GAPPooling"}}},
    "GSP+ZSR": {"model": {"pooling": GSP}, "regularizer": {"name": "ZeroShotRegularizer", "weight": 0.1}},
}


def job_values(**changes):
    """The job as plain values; each change takes the place of a top-level key."""
    return copy.deepcopy({"name": "tiny", "seeds": [0], **SHARED, "methods": METHODS, **changes})


def run_values(method, **training):
    """The values of one method's run, with changes of its training."""
    values = copy.deepcopy({**SHARED, **METHODS[method]})
    values["model"] = {**copy.deepcopy(SHARED["model"]), **values["model"]}
    values["training"].update(training)
    return values


def write_yaml(path, values):
    """Write values as a YAML file and return its path."""
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path
