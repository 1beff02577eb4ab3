"""Chance-constrained metric learning (CCP): one proxy problem after the other."""

import numpy as np
from tensorflow import keras

from gsp_tf.losses import CrossBatchMemory, Proxies
from gsp_tf.ops.checks import check_choice, check_count
from gsp_tf.ops.k_center import greedy_k_center
from gsp_tf.ops.replicas import as_array
from gsp_tf.training.embedding import embed_batches

# The samples that ρ* starts with are none of the first pool's.
_START_STREAM, _POOL_STREAM = 0, 1
# About so many images are drawn and embedded at a time.
_POOL_BATCH = 256


class AlternatingProjections(keras.callbacks.Callback):
    """Solve proxy problems in turn, each from proxies that cover what the last ones did not (CCP).

    A problem minimises ℓ(proxies, batch) + (λ/2) ‖θ − θ*‖² until the monitored score has not improved for
    ``patience`` epochs. Then the best weights are restored, θ* ← θ and ρ* ← the proxies, and the next problem's
    proxies are picked: of a pool of b embedded samples of every class, K times the one that is farthest from
    ρ* ∪ those already picked (greedy k-center), or K at random. Source: algorithms 1 and 2 of the thesis.

    Place it behind :class:`gsp_tf.RetrievalEvaluation`. It adds to the logs: ``projection`` (the problem's number),
    and, when one has ended, its ``projection_steps``, the covering radius of the pool by the old proxies
    (``radius_before``) and by old and new ones together (``radius_after``), and ``moved`` = ‖θ − θ*‖; 0 otherwise.

    Works with every pair loss, and with GSP and the zero-shot regulariser, whose variables are θ's. Not with a
    cross-batch memory: that is the same idea with fuzzy problems (thesis, section 3.2.3), and comparing a batch with
    both is no projection. Adam's moments go on from one problem to the next.

    Args:
        draw: function ``(labels, rng) → images`` that draws samples of given classes, (N,) → (N, H, W, C), with a
            NumPy generator, such as ``dataset.draw``.
        pool_size: b ≥ K samples a class to pick from. 12 for CUB and Cars196 (K = 8), 7 for SOP and In-shop (K = 4).
        selection: "k_center" or "random".
        patience: epochs without improvement that end a problem.
        monitor: key of the logs; higher is better.
        seed: of the pools.

    Raises:
        ValueError: when training begins and the learner has no ``Projection`` or no ``Proxies`` to work on, or the pool
            is smaller than K; at the end of an epoch without the monitored score.
    """

    def __init__(self, draw, pool_size=12, selection="k_center", patience=3, monitor="val_MAP@R", seed=0):
        super().__init__()
        self.draw = draw
        self.pool_size = check_count("pool_size", pool_size)
        self.selection = check_choice("selection", selection, ("k_center", "random"))
        self.patience = check_count("patience", patience)
        self.monitor, self.seed = monitor, seed

    def on_train_begin(self, logs=None):
        proxies = self.model.batch_loss
        if isinstance(proxies, CrossBatchMemory):
            raise ValueError(
                "AlternatingProjections does not go together with CrossBatchMemory, which alternates proxies in its "
                "own way: wrap the pair loss in Proxies, or leave AlternatingProjections out"
            )
        if not isinstance(proxies, Proxies) or self.model.projection is None:
            raise ValueError(
                "AlternatingProjections needs MetricLearner(embedder, proxies, projection=Projection(embedder, "
                f"proxies)) with proxies = Proxies(..., loss=a pair loss); got the loss {type(proxies).__name__}"
            )
        if self.pool_size < proxies.proxies_per_class:
            raise ValueError(
                f"pool_size must be at least proxies_per_class={proxies.proxies_per_class}; got {self.pool_size}"
            )
        if self._counter("problem") == 0:
            # ρ* starts with random samples, and the first problem covers what they do not.
            start = self._pool(proxies.proxies_per_class, _START_STREAM)
            proxies.assign(start.reshape(-1, proxies.embedding_dim))
            self._next_problem()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in (logs or {}):
            raise ValueError(
                f"monitor must be a key of the logs: place RetrievalEvaluation before AlternatingProjections; got "
                f"{self.monitor!r} with the logs {', '.join(logs or {}) or 'empty'}"
            )
        # The counters are float32: a score that does not change must not look better than its own rounding.
        projection, score = self.model.projection, float(np.float32(logs[self.monitor]))
        news = {"projection": self._counter("problem"), "projection_steps": 0.0, "radius_before": 0.0,
                "radius_after": 0.0, "moved": 0.0}
        if score > self._counter("best_score"):
            projection.remember_best()
            self._set(best_score=score, waited=0)
        else:
            self._set(waited=self._counter("waited") + 1)
            if self._counter("waited") >= self.patience:
                news["projection_steps"] = self._steps() - self._counter("steps")
                projection.restore_best()
                before, after, moved = self._next_problem()
                news.update(radius_before=before, radius_after=after, moved=moved)
        logs.update(news)

    def _next_problem(self):
        """Move θ* and pick the next proxies; the covering radii before and after, and how far θ* moved."""
        projection, proxies = self.model.projection, self.model.batch_loss
        moved = projection.move_anchors()
        count, size = proxies.proxies_per_class, proxies.embedding_dim
        old = self._as_compared(as_array(proxies.values).reshape(-1, count, size))
        pool = self._pool(self.pool_size, _POOL_STREAM)
        picked = np.stack([self._pick(*of_class, count) for of_class in zip(pool, old, strict=True)])
        proxies.assign(picked.reshape(-1, size))
        self._set(problem=self._counter("problem") + 1, waited=0, best_score=-1.0, steps=self._steps())
        return _radius(pool, old), _radius(pool, np.concatenate([old, picked], axis=1)), moved

    def _pick(self, pool, old, count):
        if self.selection == "random":
            return pool[:count]
        return pool[greedy_k_center(pool, count, centers=old)]

    def _pool(self, per_class, stream):
        """Embeddings (C, per_class, D) of freshly drawn samples, as the loss compares them."""
        classes = self.model.batch_loss.num_classes
        rng = np.random.default_rng([self.seed, int(self._counter("problem")), stream])
        # Class by class, so that samples of one are drawn together; never all images in memory.
        groups = np.array_split(np.arange(classes), -(-classes * per_class // _POOL_BATCH))
        images = (self.draw(np.repeat(group, per_class), rng) for group in groups)
        return self._as_compared(
            embed_batches(self.model.embedder, images)["embedding"].reshape(classes, per_class, -1)
        )

    def _as_compared(self, points):
        proxies = self.model.batch_loss
        if not (proxies.normalize or getattr(proxies.loss, "normalize", False)):
            return points
        return points / np.maximum(np.linalg.norm(points, axis=-1, keepdims=True), 1e-12)

    def _steps(self):
        return int(as_array(self.model.optimizer.iterations))

    def _counter(self, name):
        return float(as_array(self.model.projection.counters[name]))

    def _set(self, **values):
        for name, value in values.items():
            self.model.projection.counters[name].assign(value)


def _radius(pool, centers):
    """The largest distance of a pool's point to the nearest center of its class."""
    gaps = np.linalg.norm(pool[:, :, np.newaxis] - centers[:, np.newaxis], axis=3)
    return float(gaps.min(axis=2).max())
