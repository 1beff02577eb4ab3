"""What every test shares: quiet logs, one dtype policy, and a seed of its own."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from tensorflow import keras  # noqa: E402


@pytest.fixture(autouse=True)
def dtype_policy():
    """Give the next test the dtype policy that this one found, and every test the same random initial weights."""
    policy = keras.mixed_precision.global_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_global_policy(policy)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def trained_job(tmp_path_factory):
    """The folder of a small job that was trained to its end; tests only read it."""
    from gsp_tf.commands.train import main
    from tests.tiny_job import job_values, write_yaml

    folder = tmp_path_factory.mktemp("job")
    config = write_yaml(folder / "tiny.yaml", job_values())
    assert main(["--config", str(config), "--out", str(folder / "run")]) == 0
    return folder / "run"
