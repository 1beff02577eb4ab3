"""What GSP costs beside its floor and beside the published solver: forward + backward, time and peak memory.

    python benchmarks/transport.py              all shapes, as in README
    python benchmarks/transport.py --quick      a small shape and few rounds, to see that it runs

All methods pool the same features (B, n, d) with the same prototypes (m, d), and are differentiated with respect to
both through one random linear functional of the pooled vector and of the histogram. A round calls every method once,
so that whatever else the machine does falls on all of them alike; the medians over the rounds are compared.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from gsp_tf import GSPLayer  # noqa: E402
from gsp_tf.ops.distances import pairwise_distances  # noqa: E402
from gsp_tf.ops.normalization import clip_to_unit_ball  # noqa: E402
from gsp_tf.transport import fixed_point  # noqa: E402
from gsp_tf.transport.plan import closed_form_gradient  # noqa: E402

MU, EPSILON, STEPS = 0.3, 5.0, 100
SHAPES = ((32, 49, 64, 128), (32, 196, 128, 128), (8, 4096, 128, 128))
QUICK_SHAPES = ((4, 49, 16, 32),)
METHODS = ("GAP", "softmax attention", "GSP", "published, autodiff", "published, closed form")
MODES = {"tf.function": False, "jit_compile": True}


def cost_of(features, prototypes):
    return pairwise_distances(clip_to_unit_ball(prototypes), clip_to_unit_ball(features))


def average(features, prototypes):
    return tf.reduce_mean(features, axis=1), None, None


def attention(features, prototypes):
    """Softmax over all features and prototypes at once: weights softmax_j of s_j, shares softmax_i of −εc_ij."""
    exponent = -EPSILON * cost_of(features, prototypes)
    scores = tf.reduce_logsumexp(exponent, axis=1)
    weights = tf.nn.softmax(scores, axis=1)
    pooled = tf.matmul(weights[:, tf.newaxis], features)[:, 0]
    assigned = tf.nn.softmax(exponent, axis=1)
    return pooled, tf.reduce_sum(weights[:, tf.newaxis] * assigned, axis=2), None


def published(features, prototypes, solve):
    """GSP from any (residual, plan) of the cost: what the layer does after its own solver."""
    residual, plan = solve(cost_of(features, prototypes))
    weights = (1 / features.shape[1] - residual) / MU
    return tf.matmul(weights[:, tf.newaxis], features)[:, 0], tf.reduce_sum(plan, axis=2) / MU, plan


@tf.custom_gradient
def fixed_point_closed_form(cost):
    residual, plan = fixed_point(cost, MU, EPSILON, STEPS)
    count = tf.fill((tf.shape(cost)[0], 1), tf.cast(tf.shape(cost)[2], cost.dtype))

    def gradient(d_residual, d_plan):
        share = 1 - count * residual
        return closed_form_gradient(residual, plan, share, count, EPSILON, d_residual, d_plan)[0]

    return (residual, plan), gradient


def build(method, shape, jit, seed=0):
    """Return ``(step, features)``: ``step(features)`` gives the loss and its gradients."""
    B, n, m, d = shape
    rng = np.random.default_rng(seed)
    features = tf.constant(rng.normal(size=(B, n, d)) / np.sqrt(d), tf.float32)
    prototypes = tf.Variable(rng.normal(size=(m, d)) / np.sqrt(d), dtype=tf.float32)
    on_pooled = tf.constant(rng.normal(size=(B, d)), tf.float32)
    on_histogram = tf.constant(rng.normal(size=(B, m)), tf.float32)
    if method == "GSP":
        layer = GSPLayer(m, mu=MU, epsilon=EPSILON)
        layer.build((None, n, d))
        layer.prototypes.assign(prototypes)

    def pool(features):
        if method == "GSP":
            return layer(features, return_histogram=True)
        if method == "GAP":
            return average(features, prototypes)[:2]
        if method == "softmax attention":
            return attention(features, prototypes)[:2]
        if method == "published, autodiff":
            return published(features, prototypes, partial(fixed_point, mu=MU, epsilon=EPSILON, iterations=STEPS))[:2]
        return published(features, prototypes, fixed_point_closed_form)[:2]

    @tf.function(jit_compile=jit)
    def step(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled, histogram = pool(features)
            loss = tf.reduce_sum(pooled * on_pooled)
            if histogram is not None:
                loss += tf.reduce_sum(histogram * on_histogram)
        return loss, tape.gradient(loss, [features, *tape.watched_variables()])

    return step, features


if __name__ == "__main__":
    rounds = int(sys.argv[1]); shapes = SHAPES; modes = sys.argv[2].split(",")
    for shape in shapes:
        steps = {(mode, meth): build(meth, shape, MODES[mode]) for mode in modes for meth in METHODS}
        ts = {k: [] for k in steps}
        for k, (s, f) in steps.items():
            t = time.perf_counter(); r = s(f); r = s(f); float(r[0])
        for _ in range(rounds):
            for k, (s, f) in steps.items():
                t = time.perf_counter(); r = s(f); float(r[0]); ts[k].append(time.perf_counter() - t)
        med = {k: np.median(v) * 1e3 for k, v in ts.items()}
        print(shape)
        for k in med: print(f"  {k[0]:12s} {k[1]:24s} {med[k]:9.3f} ms  {med[k]/med[k[0],'softmax attention']:.2f}")
