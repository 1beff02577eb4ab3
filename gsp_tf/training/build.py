"""The only place where a name in a config becomes an object."""

import difflib
import inspect

from tensorflow import keras

from gsp_tf.backbones import convnet
from gsp_tf.data import DATASETS
from gsp_tf.errors import UserError
from gsp_tf.losses import ContrastiveLoss
from gsp_tf.pooling import GAPGMPPooling, GAPPooling, GMPPooling, GSPLayer, L2Normalize
from gsp_tf.regularizers import ZeroShotRegularizer
from gsp_tf.training.learner import MetricLearner

BACKBONES = {"convnet": convnet}
POOLINGS = {
    "GAPPooling": GAPPooling,
    "GMPPooling": GMPPooling,
    "GAPGMPPooling": GAPGMPPooling,
    "GSPLayer": GSPLayer,
}
LOSSES = {"ContrastiveLoss": ContrastiveLoss}
REGULARIZERS = {"ZeroShotRegularizer": ZeroShotRegularizer}
OPTIMIZERS = {"Adam": keras.optimizers.Adam, "AdamW": keras.optimizers.AdamW, "SGD": keras.optimizers.SGD}
PARTS = ("train", "validation", "test")


def build_dataset(config, part):
    """One part of the config's data set.

    A data set that has ``test_background`` puts it in place of ``background`` on the test part.
    """
    arguments = config.data.arguments
    unseen = arguments.pop("test_background", None)
    if unseen is not None and part == "test":
        arguments["background"] = unseen
    return _make("data", config.data.name, DATASETS, arguments, part)


def build_embedder(config, image_shape):
    """The Keras model from images to a dict of ``embedding`` and, with GSP, ``histogram`` and ``weights``."""
    images = keras.Input(image_shape, name="images")
    backbone = config.model.backbone
    features = _make("model.backbone", backbone.name, BACKBONES, backbone.arguments, images)
    features = keras.layers.Conv2D(config.model.local_dim, 1, name="local_features")(features)
    pooling = _make("model.pooling", config.model.pooling.name, POOLINGS, config.model.pooling.arguments)
    outputs = {}
    if isinstance(pooling, GSPLayer):
        pooled, outputs["histogram"], outputs["weights"] = pooling(features, return_histogram=True, return_weights=True)
    else:
        pooled = pooling(features)
    outputs["embedding"] = L2Normalize(name="embedding", dtype="float32")(pooled)
    return keras.Model(images, outputs, name="embedder")


def build_learner(config, image_shape, num_classes):
    """The compiled :class:`MetricLearner` of a config, with every variable made."""
    embedder = build_embedder(config, image_shape)
    loss = _make("loss", config.loss.name, LOSSES, config.loss.arguments)
    regularizer = None
    if config.regularizer is not None:
        if "histogram" not in embedder.output:
            raise UserError(
                "regularizer: ZeroShotRegularizer needs the histogram of a GSPLayer; set model.pooling.name to "
                "GSPLayer (with mu: 1.0 it pools as GAP does), or remove the regularizer"
            )
        regularizer = _make(
            "regularizer", config.regularizer.name, REGULARIZERS, config.regularizer.arguments, num_classes
        )
    learner = MetricLearner(embedder, loss, regularizer)
    optimizer = config.training.optimizer
    learner.compile(_make("training.optimizer", optimizer.name, OPTIMIZERS, optimizer.arguments))
    learner.build_all()
    return learner


def check_buildable(config):
    """Build everything that the config names once, without training: a mistake in it shows before any run begins."""
    datasets = [build_dataset(config, part) for part in PARTS]
    if config.training.classes_per_batch > datasets[0].num_classes:
        raise UserError(
            f"training.classes_per_batch must be at most {datasets[0].num_classes}, the number of training classes of "
            f"{config.data.name}; got {config.training.classes_per_batch}"
        )
    learner = build_learner(config, datasets[0].image_shape, datasets[0].num_classes)
    if "histogram" in learner.embedder.output and config.prototypes.initializer == "k_center":
        _check_prototypes(config.prototypes, learner.embedder.output["histogram"].shape[-1], config.training.steps)


def _check_prototypes(prototypes, count, steps):
    if prototypes.num_features < count:
        raise UserError(
            f"prototypes.num_features must be at least model.pooling.num_prototypes={count}; got "
            f"{prototypes.num_features}"
        )
    if prototypes.warmup_steps >= steps:
        raise UserError(
            f"prototypes.warmup_steps must be below training.steps={steps}, or the pooling stays that of the warm-up, "
            f"average pooling; got {prototypes.warmup_steps}"
        )


def _make(key, name, table, arguments, *positional):
    """Call ``table[name]`` with a config's arguments; what it rejects becomes an error that names the config's key."""
    if name not in table:
        near = difflib.get_close_matches(name, table, 1, cutoff=0.0)[0]
        raise UserError(f"{key}.name must be one of {', '.join(table)}; got {name!r}; nearest: {near}")
    made = table[name]
    valid = _argument_names(made)[len(positional):]
    for argument in arguments:
        if argument not in valid:
            near = difflib.get_close_matches(argument, valid, 1, cutoff=0.0)
            hint = f"; the nearest valid key is {key}.{near[0]}" if near else f"; {name} takes no arguments"
            raise UserError(f"{key}.{argument} is not an argument of {name}{hint}")
    try:
        return made(*positional, **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{key}: {' '.join(str(error).split())}") from None


def _argument_names(made):
    signature = inspect.signature(made.__init__ if inspect.isclass(made) else made)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, parameter in signature.parameters.items() if parameter.kind in kinds and name != "self"]
