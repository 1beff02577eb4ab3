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
