import numpy as np
import pytest

from gsp_tf.data import DigitsMixture, training_batches
from gsp_tf.errors import UserError
from gsp_tf.losses import CrossBatchMemory, Projection, Proxies
from gsp_tf.training.alternating_projections import AlternatingProjections
from gsp_tf.training.build import LOSS_LAYERS, build_learner
from gsp_tf.training.config import parse_run
from gsp_tf.training.evaluation import RetrievalEvaluation
from tests.tiny_job import run_values
from tests.training.loss_cases import CASES, CONTRASTIVE, PROXIES


def run(changes, **training):
    return parse_run({**run_values("GAP", **training), **changes}, "here")


@pytest.fixture(scope="module")
def dataset():
    return DigitsMixture("train")


@pytest.mark.parametrize("name", CASES)
def test_every_loss_trains_from_a_config(name, dataset):
    config = run(CASES[name])
    learner = build_learner(config, dataset.image_shape, dataset.num_classes)
    before = [variable.numpy() for variable in learner.trainable_variables]
    held = {id(variable) for variable in learner.embedder.trainable_weights}
    own = [id(variable) not in held for variable in learner.trainable_variables]
    callbacks = []
    if config.projections is not None:
        settings = config.projections
        callbacks = [RetrievalEvaluation(*next(training_batches(dataset, 4, 2, seed=1))),
                     AlternatingProjections(dataset.draw, settings.pool_size, settings.selection, settings.patience)]
    history = learner.fit(
        training_batches(dataset, 4, 2, seed=0), steps_per_epoch=2, epochs=1, verbose=0, callbacks=callbacks
    ).history
    assert np.isfinite(history["loss"][0]) and history["pair_loss"][0] > 0
    moved = [not np.array_equal(variable.numpy(), old)
             for variable, old in zip(learner.trainable_variables, before, strict=True)]
    # Both what embeds and what the loss owns, where it owns any.
    assert any(m for m, o in zip(moved, own, strict=True) if not o)
    owns = name in LOSS_LAYERS or name == "GeneralizedContrastiveLoss" or "prox" in name or name == "projections"
    assert any(own) == owns
    assert not owns or any(m for m, o in zip(moved, own, strict=True) if o)


def test_what_the_parts_of_a_config_become(dataset):
    shape, classes = dataset.image_shape, dataset.num_classes
    proxies = build_learner(run(CASES["proxies"]), shape, classes).batch_loss
    assert isinstance(proxies, Proxies) and tuple(proxies.values.shape) == (44, 8) and proxies.lr_multiplier == 10
    memory = build_learner(run(CASES["memory"]), shape, classes).batch_loss
    assert isinstance(memory, CrossBatchMemory) and memory.capacity == 8 and memory.start_after == 0
    projection = build_learner(run(CASES["projections"]), shape, classes).projection
    assert isinstance(projection, Projection) and projection.weight == 2e-4


@pytest.mark.parametrize("changes, training, message", [
    ({**CASES["memory"], **PROXIES}, {}, "^proxies and memory are two reference sets for one loss: remove one"),
    ({"loss": CONTRASTIVE, "projections": {}}, {}, "^projections alternate proxies: add proxies, for example"),
    ({**CASES["memory"], "projections": {}}, {}, "^projections alternate proxies: .* and no memory"),
    ({**CASES["memory"], "loss": CASES["ProxyAnchorLoss"]["loss"]}, {}, "^memory needs a pair loss .*ProxyAnchorLoss"),
    ({**PROXIES, "loss": CASES["IntraBatchLoss"]["loss"]}, {}, "^proxies needs a pair loss .*; loss.name is Intra"),
    ({"loss": CONTRASTIVE}, {"samples_per_class": 1}, "^training.samples_per_class must be at least 2 for Contrastive"),
    ({**PROXIES, "loss": CONTRASTIVE, "projections": {"pool_size": 1}}, {}, "^projections.pool_size must be at least "
     "proxies.per_class=2; got 1"),
    ({"loss": {"name": "IntraBatchLoss", "num_heads": 3}}, {}, "^loss: embedding_dim must be a multiple of num_heads"),
    ({"loss": {"name": "ProxyAnchorLoss", "num_classes": 3}}, {}, "^loss.num_classes is not an argument of ProxyAnch"),
    ({"loss": {"name": "ProxyAnchor"}}, {}, "^loss.name must be one of ContrastiveLoss, .*; nearest: ProxyAnchorLoss"),
])
def test_what_does_not_fit_together(changes, training, message):
    with pytest.raises(UserError, match=message) as caught:
        build_learner(run(changes, **training), (32, 32, 1), 22)
    assert "\n" not in str(caught.value)


def test_proxies_and_losses_with_proxies_take_one_sample_per_class(dataset):
    for changes in (CASES["proxies"], CASES["ProxyNCALoss"]):
        learner = build_learner(run(changes, samples_per_class=1), dataset.image_shape, dataset.num_classes)
        loss = learner.fit(training_batches(dataset, 4, 1, seed=0), steps_per_epoch=1, verbose=0).history["loss"][0]
        assert np.isfinite(loss) and loss > 0
