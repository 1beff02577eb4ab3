"""Any Keras model as a backbone, by the path that Python imports it by."""

import importlib
import inspect

import tensorflow as tf
from tensorflow import keras

from gsp_tf.backbones.batch_norm import freeze_batch_norm
from gsp_tf.backbones.weights import load_weights
from gsp_tf.errors import UserError


def keras_model(images, path, arguments=None, weights=None, frozen_batch_norm=True):
    """Map images to the features of a model that another package, or yours, makes.

    What the path names is called with ``arguments``. Where it takes them and they are not given, ``input_shape`` is the
    images', ``include_top`` is False and ``weights`` None: the models of ``keras.applications`` then give their feature
    map and download nothing. Weights of a file are loaded by ``weights`` of this function.

    Args:
        images: (B, H, W, C) preprocessed tensor, or the (H, W, C) shape of one.
        path: "keras.applications.MobileNetV2", of this stack's Keras, or "my_package.my_module:make".
        arguments: dict of keyword arguments, for example from a config.
        weights: path of a ``.pth``, ``.npz``, ``.h5`` or ``.keras`` file; the model's own initial ones by default.
            Tensors are found by the names of layers: give every layer one.
        frozen_batch_norm: whether batch-norm keeps its statistics, scale and offset.

    Returns:
        (B, H', W', C') feature map or, of ViT-like models, (B, n, C') tokens; for a shape the ``keras.Model`` from
        images to them.

    Raises:
        UserError: if the path cannot be imported, what it names refuses the arguments or makes no Keras model of
            images, or its output has another rank; see also :func:`load_weights`.

    >>> tuple(keras_model((64, 64, 3), "keras.applications.MobileNetV2", {"alpha": 0.35}).output.shape[1:])
    (2, 2, 1280)
    """
    by_shape = isinstance(images, (tuple, list))
    inputs = keras.Input(tuple(images)) if by_shape else images
    model = _make(path, dict(arguments or {}), tuple(inputs.shape)[1:])
    try:
        features = model(inputs)
    except Exception as error:  # what the model's own code raises is not known here
        raise UserError(f"{path}: the model fails on images of shape {tuple(inputs.shape)}: {_line(error)}") from None
    shape = getattr(features, "shape", None)
    if shape is None or len(shape) not in (3, 4) or not tf.as_dtype(features.dtype).is_floating:
        given = type(features).__name__ if shape is None else f"{tf.as_dtype(features.dtype).name} {tuple(shape)}"
        raise UserError(
            f"{path}: the model must give a feature map (B, H, W, C) or tokens (B, n, C), before pooling; got {given}"
        )
    if weights is not None:
        load_weights(model, weights)
    if frozen_batch_norm:
        freeze_batch_norm(model)
    return keras.Model(inputs, features, name=f"{model.name}_features") if by_shape else features


def _make(path, arguments, shape):
    made = _find(path)
    defaults = {"input_shape": shape, "include_top": False, "weights": None}
    try:
        known = inspect.signature(made).parameters
    except (TypeError, ValueError):
        known = ()
    arguments = {**{name: value for name, value in defaults.items() if name in known}, **arguments}
    try:
        model = made(**arguments)
    except Exception as error:  # as above
        listed = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise UserError(f"{path}({listed}) failed: {_line(error)}") from None
    if not isinstance(model, keras.layers.Layer):
        raise UserError(f"{path} must make a Keras model or layer; got {type(model).__name__}")
    return model


def _find(path):
    """What a dotted path names; "keras" is TensorFlow's, so that the model is of this stack."""
    module, colon, attributes = path.partition(":")
    if not colon:
        module, _, attributes = path.rpartition(".")
    if not module or not attributes:
        raise UserError(
            f'path must be like "keras.applications.MobileNetV2" or "my_package.my_module:make"; got {path!r}'
        )
    found = keras
    names = attributes.split(".")
    if module.split(".")[0] == "keras":
        names = module.split(".")[1:] + names
    else:
        try:
            found = importlib.import_module(module)
        except Exception as error:  # a module may raise anything when it is imported
            raise UserError(f"{path}: the module {module} cannot be imported: {_line(error)}") from None
    for name in names:
        if not hasattr(found, name):
            raise UserError(f"{path}: {getattr(found, '__name__', found)} has no {name}")
        found = getattr(found, name)
    if not callable(found):
        raise UserError(f"{path} must be a function or class that makes a Keras model; got {type(found).__name__}")
    return found


def _line(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
