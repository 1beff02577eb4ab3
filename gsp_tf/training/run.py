"""One training, from a config and a seed to a folder with its result."""

import itertools
import zipfile

import numpy as np
import tensorflow as tf
import yaml
from tensorflow import keras

from gsp_tf.backbones import weights_hash
from gsp_tf.errors import UserError
from gsp_tf.ops.replicas import as_array
from gsp_tf.pooling import PrototypeInitializer
from gsp_tf.training.alternating_projections import AlternatingProjections
from gsp_tf.training.build import PARTS, build_dataset, build_learner, parts_hash
from gsp_tf.training.checkpoint import read_json, replaced, write_json, write_text
from gsp_tf.training.config import as_plain, parse_run
from gsp_tf.training.config_file import read_mapping
from gsp_tf.training.distribution import distribute_batches, is_chief
from gsp_tf.training.evaluation import RetrievalEvaluation, measure
from gsp_tf.training.head_warmup import HeadWarmup
from gsp_tf.training.plateau import PlateauDecay
from gsp_tf.training.progress import ProgressBar
from gsp_tf.training.provenance import config_hash, hardware, provenance
from gsp_tf.training.tensorboard_images import TensorBoardImages
from gsp_tf.training.training_state import TrainingState

KS = (1, 2, 4, 8)
# Batches that prototypes are chosen from are none of those that training sees.
_PROTOTYPE_STREAM = 1_000_003


def train_run(config, seed, directory, strategy, description, measured_on="test", title=None):
    """Train one config with one seed; resume what was killed, return what is finished.

    The folder holds ``config.yaml``, ``log.csv``, ``checkpoint.npz``, ``tensorboard/``, and when the run is finished
    ``model.keras`` (the embedder at its best validation score) and ``result.json``. No image of the part ``test`` is
    looked at before training has ended, unless the data's ``split`` makes it the validation part.

    Args:
        config: :class:`gsp_tf.training.config.RunConfig`.
        seed: fixes initial weights and batches.
        directory: folder of the run.
        strategy: of :func:`gsp_tf.training.distribution.build_strategy`.
        description: dict that the result begins with: what run this is, with at least its ``method``.
        measured_on: the part that the best weights are measured on when training has ended.
        title: of the progress bar; None shows none.

    Returns:
        dict, the content of ``result.json``.

    Raises:
        UserError: for a folder of another config, or a training that diverged.
    """
    chief = is_chief(strategy)
    claim(directory, config, seed, write=chief)
    if (directory / "result.json").exists():
        return read_json(directory / "result.json")
    learner, state = _train(config, seed, directory, strategy, title)
    best = state.history[state.best_epoch]
    scores = {"validation": {"MAP@R": best["val_MAP@R"], "P@1": best["val_P@1"]}}
    scores[measured_on] = measure(learner.embedder, build_dataset(config, measured_on), KS)
    result = {
        **description,
        "seed": seed,
        "steps": state.history[-1]["step"],
        "best_step": best["step"],
        "measured_on": measured_on,
        **scores,
        "parameters": int(sum(np.prod(weight.shape) for weight in learner.embedder.trainable_weights)),
        "replicas": strategy.num_replicas_in_sync,
        "seconds": round(state.seconds, 1),
        "config_hash": config_hash(as_plain(config)),
        "evaluations": state.history,
        **identities(config),
        "versions": provenance(),
        "hardware": hardware(strategy),
        "config": as_plain(config),
    }
    if chief:
        with replaced(directory / "model.keras") as partial:
            learner.embedder.save(partial)
        write_json(directory / "result.json", result)
    return result


def identities(config):
    """What the files that a run starts from are known by, and the part that chose its checkpoint."""
    found = {
        "split_hash": parts_hash(config, PARTS),
        "test_hash": parts_hash(config, ["test"]),
        # Results that were chosen on test data must say so.
        "selected_on": "test" if config.data.arguments.get("split") == "conventional" else "validation",
    }
    weights = config.model.backbone.arguments.get("weights")
    if weights is not None:
        found["weights_sha256"] = weights_hash(weights)
    return found


def claim(directory, config, seed, write=True):
    """Make the run's folder this config's, or raise :class:`UserError` if it is another's."""
    path = directory / "config.yaml"
    values = {"seed": seed, **as_plain(config)}
    if path.exists():
        for key, there, here in _differences(read_mapping(path), values):
            raise UserError(
                f"{directory} holds a run of another config ({key}: {there!r} there, {here!r} here): give another "
                "--out, or --overwrite to train it anew"
            )
    elif write:
        directory.mkdir(parents=True, exist_ok=True)
        write_text(path, yaml.safe_dump(values, sort_keys=False))


def load_run(directory):
    """The :class:`RunConfig` and seed of a run's folder."""
    path = directory / "config.yaml"
    values = read_mapping(path)
    seed = values.pop("seed", None)
    return parse_run(values, str(path)), seed


def load_embedder(directory):
    """The embedder of a finished run's folder."""
    path = directory / "model.keras"
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be loaded: {reason}; train the run again with --overwrite") from None


def _train(config, seed, directory, strategy, title):
    training = config.training
    train, validation = build_dataset(config, "train"), build_dataset(config, "validation")
    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_global_policy(training.precision)
    with strategy.scope():
        learner = build_learner(config, train.image_shape, train.num_classes)
    keras.mixed_precision.set_global_policy("float32")
    monitor = f"val_{training.monitor}"
    # Pictures of images that test tempt to choose by them.
    shown = train if config.data.arguments.get("split") == "conventional" else validation
    pictures = TensorBoardImages(directory / "tensorboard" / "images", shown)
    state = TrainingState(directory, training.evaluate_every, training.patience, monitor, write=is_chief(strategy))
    # Before the checkpoint puts its own rate there.
    plateau = None if training.plateau is None else PlateauDecay(
        state.history, float(as_array(learner.optimizer.learning_rate)), **training.plateau.model_dump(),
        monitor=monitor,
    )
    done = state.restore(learner)
    if done * training.evaluate_every < training.steps and not state.exhausted:

        def batches(part=(0, 1), start_step=done * training.evaluate_every, stream=0):
            return train.training_batches(
                training.classes_per_batch, training.samples_per_class, seed + stream, start_step, part
            )

        callbacks = [RetrievalEvaluation.of_dataset(validation)]
        if plateau is not None:
            callbacks.append(plateau)
        if training.head_warmup_steps:
            callbacks.append(HeadWarmup(training.head_warmup_steps))
        if config.projections is not None:
            settings = config.projections
            callbacks.append(AlternatingProjections(
                train.draw, settings.pool_size, settings.selection, settings.patience, seed=seed
            ))
        if "histogram" in learner.embedder.output and config.prototypes.initializer == "k_center":
            callbacks.insert(0, PrototypeInitializer(
                lambda: itertools.islice(batches(start_step=0, stream=_PROTOTYPE_STREAM), 1000),
                config.prototypes.num_features, config.prototypes.warmup_steps, seed=seed,
            ))
        if is_chief(strategy):
            callbacks.append(keras.callbacks.TensorBoard(str(directory / "tensorboard"), write_graph=False))
            callbacks.append(pictures)
        progress = ProgressBar(title, training.steps, done * training.evaluate_every)
        batch_size = training.classes_per_batch * training.samples_per_class
        try:
            learner.fit(
                distribute_batches(strategy, batches, train.image_shape, batch_size),
                epochs=training.steps // training.evaluate_every,
                initial_epoch=done,
                steps_per_epoch=training.evaluate_every,
                shuffle=False,
                callbacks=[*callbacks, progress, state],
                verbose=0,
            )
        except (ValueError, tf.errors.InvalidArgumentError):
            # Metrics, k-center and Cholesky refuse numbers that are not finite, each with words of its own.
            images, _ = next(batches())
            if _is_finite(learner.embedder(images, training=True)):
                raise
            raise state.diverged("an embedding is not finite", int(as_array(learner.optimizer.iterations))) from None
        finally:
            progress.close()
    state.use_best(learner)
    if is_chief(strategy):
        pictures.write_projector(learner.embedder)
    return learner, state


def _is_finite(outputs):
    return all(np.all(np.isfinite(value)) for value in tf.nest.flatten(outputs))


def _differences(there, here, prefix=""):
    for key in {**there, **here}:
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield prefix + key, old, new
