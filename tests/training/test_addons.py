import importlib.util

import numpy as np
import pytest

from gsp_tf.errors import UserError
from gsp_tf.training.build import build_learner
from gsp_tf.training.checkpoint import load_checkpoint, save_checkpoint
from gsp_tf.training.config import parse_run
from gsp_tf.training.training_state import TrainingState
from tests.tiny_job import run_values

INSTALLED = importlib.util.find_spec("tensorflow_addons") is not None
with_addons = pytest.mark.skipif(not INSTALLED, reason="needs tensorflow-addons")
LAMB = {"name": "Addons>LAMB", "learning_rate": 0.01}
TRIPLET = {"name": "Addons>TripletSemiHardLoss", "margin": 0.5}


def learner_of(loss=None, **training):
    values = run_values("GAP", **training)
    values["loss"] = loss or values["loss"]
    return build_learner(parse_run(values, "here"), (32, 32, 1), 4)


def fit(learner):
    images = np.random.default_rng(0).uniform(size=(16, 32, 32, 1)).astype(np.float32)
    return learner.fit(images, np.arange(16) % 4, batch_size=8, shuffle=False, verbose=0).history["loss"][0]


@pytest.mark.skipif(INSTALLED, reason="tensorflow-addons is there")
@pytest.mark.parametrize("settings, key", [
    ({"loss": TRIPLET}, "loss.name Addons>TripletSemiHardLoss"),
    ({"optimizer": LAMB}, "training.optimizer.name Addons>LAMB"),
])
def test_without_them_the_error_says_what_to_install(settings, key):
    with pytest.raises(UserError, match=rf'^{key} needs tensorflow-addons, .* pip install "gsp-tf\[addons\]"$'):
        learner_of(**settings)


@with_addons
@pytest.mark.parametrize("settings", [
    {"loss": TRIPLET}, {"optimizer": LAMB}, {"loss": TRIPLET, "optimizer": LAMB, "head_warmup_steps": 1,
                                             "weight_decay": {"name": "coupled", "weight": 0.01}},
    {"optimizer": {"name": "Addons>AdamW", "weight_decay": 0.01}},
], ids=["loss", "optimizer", "both", "adamw"])
def test_they_train(settings):
    learner = learner_of(**settings)
    before = learner.embedder.get_weights()
    assert np.isfinite(fit(learner))
    moved = [np.max(np.abs(new - old)) for new, old in zip(learner.embedder.get_weights(), before, strict=True)]
    assert max(moved) > 1e-4 and np.all(np.isfinite(moved))
    assert int(learner.optimizer.iterations) == 2


@with_addons
def test_a_loss_without_a_choice_of_reduction():
    # N-pairs takes one positive for every sample, so only that it can be made is asked for.
    assert learner_of({"name": "Addons>NpairsLoss"}).batch_loss.name == "npairs_loss"


@with_addons
def test_the_loss_is_the_addon_s():
    import tensorflow_addons

    labels = np.array([0, 0, 1, 1, 2, 2])
    embeddings = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    value = learner_of(TRIPLET).batch_losses(embeddings, labels, training=False)[1]
    np.testing.assert_allclose(value, tensorflow_addons.losses.triplet_semihard_loss(labels, embeddings, 0.5))


@with_addons
def test_an_optimizer_s_state_is_there_before_the_first_step_and_comes_back(tmp_path):
    learner = learner_of(optimizer=LAMB)
    fit(learner)
    best = [value.numpy() for value in learner.embedder.weights]
    save_checkpoint(tmp_path / "state.npz", TrainingState._groups(learner, best), {})
    copy = learner_of(optimizer=LAMB)
    groups = TrainingState._groups(copy, [])
    # Two moments of every trainable variable, and the count of steps.
    assert len(groups["optimizer"]) == 2 * len(copy.trainable_variables) + 1
    load_checkpoint(tmp_path / "state.npz", TrainingState._groups(copy, copy.embedder.weights))
    assert int(copy.optimizer.iterations) == 2
    assert fit(copy) == fit(learner)
    for value, expected in zip(copy.get_weights(), learner.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6)


@with_addons
@pytest.mark.parametrize("settings, message", [
    ({"optimizer": {"name": "Addons>LAMP"}}, "training.optimizer.name: tensorflow-addons has no LAMP among its "
     "optimizers; nearest: Addons>LAMB"),
    ({"loss": {"name": "Addons>TripletSemihardLoss"}}, "loss.name: .* has no .* nearest: Addons>TripletSemiHardLoss"),
    ({"optimizer": {**LAMB, "learning": 1}}, "training.optimizer: Addons>LAMB: .*learning"),
    ({"optimizer": {"name": "Addons>AdamW", "weight_decay": 0.1}, "head_warmup_steps": 1},
     "training.head_warmup_steps holds gradients, and decoupled weight decay"),
    ({"loss": {"name": "Addons>TripletSemiHardLoss", "marign": 1}}, "loss.marign is not an argument of "
     "Addons>TripletSemiHardLoss; the nearest valid key is loss.margin"),
])
def test_what_they_do_not_have(settings, message):
    with pytest.raises(UserError, match=message):
        learner_of(**settings)


def test_decoupled_decay_is_for_keras_s_own_optimizers():
    with pytest.raises(UserError, match="training.weight_decay.name decoupled is for Keras's own optimizers"):
        learner_of(optimizer=LAMB, weight_decay={"name": "decoupled", "weight": 0.1})
