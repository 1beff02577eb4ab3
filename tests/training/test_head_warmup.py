import numpy as np
import pytest
from tensorflow import keras

import gsp_tf
from gsp_tf.errors import UserError
from gsp_tf.training.build import build_learner
from gsp_tf.training.config import parse_run
from gsp_tf.training.head_warmup import HeadWarmup
from tests.tiny_job import run_values

SHAPE, CLASSES = (32, 32, 1), 4


class Weights(keras.callbacks.Callback):
    """The weights of the backbone and the others, before training and after every step."""

    def on_train_begin(self, logs=None):
        self.seen = []
        self.on_train_batch_end(0)

    def on_train_batch_end(self, batch, logs=None):
        backbone = self.model.backbone
        groups = [[], []]
        for variable in self.model.trainable_variables:
            groups[id(variable) in backbone].append(np.array(variable.numpy()))
        self.seen.append((*groups, int(self.model.optimizer.iterations.numpy())))


def learner_of(**training):
    values = run_values("GAP", head_warmup_steps=2, **training)
    values["loss"] = {"name": "ProxyAnchorLoss"}
    return build_learner(parse_run(values, "here"), SHAPE, CLASSES)


def fit(learner, steps, warmup=2):
    rng, watch = np.random.default_rng(0), Weights()
    images = rng.uniform(size=(8 * steps, *SHAPE)).astype(np.float32)
    learner.fit(images, np.arange(8 * steps) % CLASSES, batch_size=8, shuffle=False, verbose=0,
                callbacks=[HeadWarmup(warmup), watch])
    return watch.seen


def same(first, second):
    return [bool(np.array_equal(a, b)) for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("training", [
    {}, {"weight_decay": {"name": "coupled", "weight": 0.1}}, {"precision": "mixed_float16"},
], ids=["plain", "weight_decay", "mixed_float16"])
def test_the_backbone_waits_and_the_head_does_not(training):
    keras.mixed_precision.set_global_policy(training.get("precision", "float32"))
    # In half precision the first steps are given up, until the scale of the loss fits.
    warmup, steps = (10, 22) if "precision" in training else (2, 4)
    seen = fit(learner_of(**training), steps, warmup)
    (head, backbone, start), end = seen[0], seen[-1]
    after_warmup = [state for state in seen if state[2] == warmup][-1]
    assert start == 0 and end[2] > warmup
    assert len(backbone) >= 4 and all(same(backbone, after_warmup[1]))
    # Of the head: the 1×1 convolution's kernel and bias, and the proxies.
    assert len(head) == 3 and not any(same(head, after_warmup[0]))
    assert not any(same(after_warmup[0], end[0]))
    # A bias before a normalisation has no gradient.
    assert not all(same(after_warmup[1], end[1]))
    assert all(not equal for equal, value in zip(same(after_warmup[1], end[1]), backbone, strict=True)
               if value.ndim == 4)


def test_it_counts_the_optimizer_s_steps_over_fits():
    learner = learner_of()
    seen = fit(learner, steps=1)
    assert all(same(seen[0][1], seen[1][1]))
    seen = fit(learner, steps=2)
    assert all(same(seen[0][1], seen[1][1])) and not all(same(seen[1][1], seen[2][1]))
    # Without the callback's hold, a later fit trains everything from its first step.
    assert float(learner.backbone_scale.numpy()) == 1.0


def test_nothing_to_hold():
    images = keras.Input((2,))
    learner = gsp_tf.MetricLearner(keras.Model(images, keras.layers.Dense(2)(images)), gsp_tf.ContrastiveLoss())
    learner.compile("adam")
    with pytest.raises(ValueError, match=r"HeadWarmup needs MetricLearner\(..., backbone_variables=...\)"):
        learner.fit(np.ones((4, 2), np.float32), np.array([0, 0, 1, 1]), verbose=0, callbacks=[HeadWarmup(1)])
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1; got 0"):
        HeadWarmup(0)


def test_decoupled_weight_decay_would_shrink_what_is_held():
    images = keras.Input((2,))
    embedder = keras.Model(images, keras.layers.Dense(2)(images))
    learner = gsp_tf.MetricLearner(embedder, gsp_tf.ContrastiveLoss(), backbone_variables=embedder.trainable_weights)
    learner.compile(keras.optimizers.AdamW(weight_decay=0.1))
    with pytest.raises(ValueError, match="HeadWarmup holds gradients, .* got 0.1: give MetricLearner a .coupled. weight_decay"):
        learner.fit(np.ones((4, 2), np.float32), np.array([0, 0, 1, 1]), verbose=0, callbacks=[HeadWarmup(1)])
    for training in ({"weight_decay": {"name": "decoupled", "weight": 0.1}}, {"optimizer": {"name": "AdamW"}}):
        with pytest.raises(UserError, match="training.head_warmup_steps holds gradients, and decoupled weight decay"):
            learner_of(**training)
