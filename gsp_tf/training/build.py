"""The only place where a name in a config becomes an object."""

import difflib
import functools
import hashlib
import inspect
import json

import numpy as np
from tensorflow import keras

from gsp_tf import backbones, losses
from gsp_tf.data import DATASETS
from gsp_tf.data.readers import READERS
from gsp_tf.errors import UserError
from gsp_tf.losses import CrossBatchMemory, Projection, Proxies
from gsp_tf.pooling import POOLINGS, GSPLayer, L2Normalize
from gsp_tf.regularizers import ZeroShotRegularizer
from gsp_tf.training.addons import is_addon, make_addon
from gsp_tf.training.image_data import image_dataset, image_split_hash
from gsp_tf.training.learner import MetricLearner
from gsp_tf.training.weight_decay import decayed_variables

BACKBONES = {
    "convnet": backbones.convnet,
    "resnet20": backbones.resnet20,
    "resnet_v2_20": backbones.resnet_v2_20,
    "resnet50": backbones.resnet50,
    "bn_inception": backbones.bn_inception,
    "keras_model": backbones.keras_model,
}
PAIR_LOSSES = {
    "ContrastiveLoss": losses.ContrastiveLoss,
    "SimilarityContrastiveLoss": losses.SimilarityContrastiveLoss,
    "TripletLoss": losses.TripletLoss,
    "MultiSimilarityLoss": losses.MultiSimilarityLoss,
    "GeneralizedContrastiveLoss": losses.GeneralizedContrastiveLoss,
}
LOSS_LAYERS = {
    "ProxyAnchorLoss": losses.ProxyAnchorLoss,
    "ProxyNCALoss": losses.ProxyNCALoss,
    "SoftTripleLoss": losses.SoftTripleLoss,
    "IntraBatchLoss": losses.IntraBatchLoss,
}
# The layers behind the backbone: all else of a trained head.
LOCAL_FEATURES, LINEAR = "local_features", "linear"
REGULARIZERS = {"ZeroShotRegularizer": ZeroShotRegularizer}
OPTIMIZERS = {"Adam": keras.optimizers.Adam, "AdamW": keras.optimizers.AdamW, "SGD": keras.optimizers.SGD}
PARTS = ("train", "validation", "test")
_ALL_DATASETS = {**DATASETS, **{name: functools.partial(image_dataset, name) for name in READERS}}


def build_dataset(config, part):
    """One part of the config's data set.

    A data set that has ``test_background`` puts it in place of ``background`` on the test part.
    """
    arguments = config.data.arguments
    unseen = arguments.pop("test_background", None)
    if unseen is not None and part == "test":
        arguments["background"] = unseen
    return _make("data", config.data.name, _ALL_DATASETS, arguments, part)


def parts_hash(config, parts):
    """SHA-256 of what is in some parts of the config's data set and of which class, equal on every machine."""
    if config.data.name in READERS:
        return image_split_hash(config.data.name, parts, **config.data.arguments)
    digest = hashlib.sha256()
    for part in parts:
        dataset = build_dataset(config, part)
        images, labels = dataset.images_and_labels()
        names = [str(name) for name in dataset.class_names]
        digest.update(json.dumps([part, names, list(images.shape)], ensure_ascii=False).encode())
        digest.update(np.ascontiguousarray(images).tobytes() + np.asarray(labels, np.int32).tobytes())
    return digest.hexdigest()


def build_embedder(config, image_shape):
    """The Keras model from images to a dict of ``embedding`` and, with GSP, ``histogram`` and ``weights``."""
    images = keras.Input(image_shape, name="images")
    model = config.model
    inputs = images if model.preprocessing is None else backbones.preprocess(images, model.preprocessing)
    features = _make("model.backbone", model.backbone.name, BACKBONES, model.backbone.arguments, inputs)
    if model.local_dim is not None:
        convolution = keras.layers.Conv2D if len(features.shape) == 4 else keras.layers.Conv1D
        features = convolution(model.local_dim, 1, name=LOCAL_FEATURES)(features)
    pooling = _make("model.pooling", model.pooling.name, POOLINGS, model.pooling.arguments)
    outputs = {}
    if isinstance(pooling, GSPLayer):
        pooled, outputs["histogram"], outputs["weights"] = pooling(features, return_histogram=True, return_weights=True)
    else:
        pooled = pooling(features)
    if model.embedding_dim is not None:
        pooled = keras.layers.Dense(model.embedding_dim, name=LINEAR)(pooled)
    outputs["embedding"] = L2Normalize(name="embedding", dtype="float32")(pooled)
    return keras.Model(images, outputs, name="embedder")


def build_loss(config, num_classes, dim):
    """The loss of a config: a pair loss, alone, over proxies or with a memory, or a loss with proxies of its own.

    Args:
        config: :class:`gsp_tf.training.config.RunConfig`.
        num_classes: of the training part.
        dim: size of the embeddings.
    """
    name, arguments = config.loss.name, config.loss.arguments
    owns_proxies = name in LOSS_LAYERS
    if is_addon(name):
        loss = make_addon("loss", "losses", name, arguments)
    else:
        own = (num_classes, dim) if owns_proxies else ()
        loss = _make("loss", name, {**PAIR_LOSSES, **LOSS_LAYERS}, arguments, *own)
    wrapped = [key for key in ("proxies", "memory") if getattr(config, key) is not None]
    if wrapped and (owns_proxies or is_addon(name)):
        raise UserError(f"{wrapped[0]} needs a pair loss ({', '.join(PAIR_LOSSES)}); loss.name is {name}")
    if len(wrapped) > 1:
        raise UserError("proxies and memory are two reference sets for one loss: remove one of them")
    if config.projections is not None and config.proxies is None:
        raise UserError("projections alternate proxies: add proxies, for example {per_class: 8}, and no memory")
    if config.proxies is not None:
        proxies = config.proxies
        if config.projections is not None and config.projections.pool_size < proxies.per_class:
            raise UserError(
                f"projections.pool_size must be at least proxies.per_class={proxies.per_class}; got "
                f"{config.projections.pool_size}"
            )
        return Proxies(num_classes, dim, proxies.per_class, loss=loss, lr_multiplier=proxies.lr_multiplier)
    if config.memory is not None:
        batch_size = config.training.classes_per_batch * config.training.samples_per_class
        return CrossBatchMemory(
            loss, config.memory.size_in_batches, config.memory.start_after, batch_size=batch_size, embedding_dim=dim
        )
    if not owns_proxies and config.training.samples_per_class < 2:
        raise UserError(
            f"training.samples_per_class must be at least 2 for {name}, which compares samples of a class with each "
            "other; got 1: with proxies, or a loss that has its own, 1 will do"
        )
    return loss


def build_learner(config, image_shape, num_classes):
    """The compiled :class:`MetricLearner` of a config, with every variable made."""
    embedder = build_embedder(config, image_shape)
    loss = build_loss(config, num_classes, embedder.output["embedding"].shape[-1])
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
    projection = None
    if config.projections is not None:
        projection = Projection(embedder, loss, config.projections.weight)
    decay = config.training.weight_decay
    coupled = decay is not None and decay.name == "coupled"
    learner = MetricLearner(
        embedder,
        loss,
        regularizer,
        projection,
        weight_decay=decay.weight if coupled else 0.0,
        decay_variables=decayed_variables(embedder, decay.biases) if coupled else (),
        backbone_variables=_backbone_variables(embedder) if config.training.head_warmup_steps else (),
    )
    learner.compile(_build_optimizer(config, learner))
    learner.build_all()
    return learner


def _build_optimizer(config, learner):
    name, arguments = config.training.optimizer.name, config.training.optimizer.arguments
    decay = config.training.weight_decay
    decoupled = decay is not None and decay.name == "decoupled"
    if decoupled and (is_addon(name) or "weight_decay" in arguments):
        raise UserError(
            "training.weight_decay.name decoupled is for Keras's own optimizers without a weight_decay of their own: "
            f"remove it, or give it to training.optimizer; got {name} with {arguments}"
        )
    if decoupled:
        arguments["weight_decay"] = decay.weight
    if is_addon(name):
        optimizer = make_addon("training.optimizer", "optimizers", name, arguments)
    else:
        optimizer = _make("training.optimizer", name, OPTIMIZERS, arguments)
    if config.training.head_warmup_steps and getattr(optimizer, "weight_decay", None):
        raise UserError(
            "training.head_warmup_steps holds gradients, and decoupled weight decay shrinks the backbone without one: "
            "set training.weight_decay.name to coupled and take an optimizer without a weight_decay of its own, or set "
            "head_warmup_steps to 0"
        )
    if decoupled:
        decayed = {id(variable) for variable in decayed_variables(learner.embedder, decay.biases)}
        optimizer.exclude_from_weight_decay(
            var_list=[variable for variable in learner.trainable_variables if id(variable) not in decayed]
        )
    return optimizer


def _backbone_variables(embedder):
    """What comes before the 1×1 convolution, or before the pooling where there is none."""
    first = next(index for index, layer in enumerate(embedder.layers)
                 if layer.name == LOCAL_FEATURES or isinstance(layer, tuple(POOLINGS.values())))
    return [variable for layer in embedder.layers[:first] for variable in layer.trainable_weights]


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
