"""Every pooling sees its input as (B, n, d) local features and a (B, n) validity; this is where they come from."""

import math

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_choice, check_floating, check_rank

LAYOUT = "(B, n, d), (B, H, W, d) or (B, D, H, W, d); (B, d, ...) with data_format='channels_first'"


def check_data_format(data_format):
    """Return ``data_format``, Keras's global setting where it is None."""
    if data_format is None:
        return keras.backend.image_data_format()
    return check_choice("data_format", data_format, ("channels_last", "channels_first"))


def feature_dim(input_shape, data_format):
    """The static feature dimension d of an input shape, or ``ValueError`` where it is not known."""
    if len(input_shape) not in (3, 4, 5):
        raise ValueError(f"inputs must have shape {LAYOUT}; got shape {tuple(input_shape)} of rank {len(input_shape)}")
    dim = input_shape[-1 if data_format == "channels_last" else 1]
    if dim is None:
        raise ValueError(f"the feature dimension of inputs must be known; got shape {tuple(input_shape)}")
    return int(dim)


def flatten_features(inputs, mask, data_format):
    """Return ``(features, valid)``: (B, n, d), and (B, n) booleans or None where everything is valid.

    A mask has shape (B, n), or the input's batch and spatial shape.
    """
    inputs = tf.convert_to_tensor(inputs)
    check_floating("inputs", inputs)
    check_rank("inputs", inputs, (3, 4, 5), LAYOUT)
    if data_format == "channels_first":
        inputs = tf.transpose(inputs, [0, *range(2, inputs.shape.rank), 1])
    spatial, dim = inputs.shape[1:-1], inputs.shape[-1]
    if 0 in spatial:
        raise ValueError(f"inputs must have at least one local feature; got shape {tuple(inputs.shape)}")
    count = math.prod(spatial) if spatial.is_fully_defined() else tf.reduce_prod(tf.shape(inputs)[1:-1])
    features = tf.reshape(inputs, (tf.shape(inputs)[0], count, dim))
    if mask is not None:
        mask = tf.reshape(tf.cast(mask, tf.bool), (tf.shape(inputs)[0], count))
    return features, mask


def unflatten_weights(weights, inputs, data_format):
    """Give (B, n) weights the batch and spatial shape of the inputs."""
    axes = slice(0, -1) if data_format == "channels_last" else slice(2, None)
    batch = slice(0, 0) if data_format == "channels_last" else slice(0, 1)
    shape = tf.concat([tf.shape(inputs)[batch], tf.shape(inputs)[axes]], axis=0)
    static = inputs.shape[batch].concatenate(inputs.shape[axes])
    return tf.ensure_shape(tf.reshape(weights, shape), static)


def masked_max(features, valid):
    """Maximum over the valid features of (B, n, d); 0 where a sample has none."""
    if valid is None:
        return tf.reduce_max(features, axis=1)
    valid = valid[:, :, tf.newaxis]
    largest = tf.reduce_max(tf.where(valid, features, features.dtype.min), axis=1)
    return tf.where(tf.reduce_any(valid, axis=1), largest, tf.zeros_like(largest))


def masked_mean(features, valid):
    """Mean over the valid features of (B, n, d); 0 where a sample has none."""
    if valid is None:
        return tf.reduce_mean(features, axis=1)
    kept = tf.where(valid[:, :, tf.newaxis], features, tf.zeros_like(features))
    return tf.reduce_sum(kept, axis=1) / valid_count(features, valid)


def valid_count(features, valid):
    """The number of valid features of (B, n, d): a scalar, or (B, 1) with a mask; 1 where a sample has none."""
    if valid is None:
        return tf.cast(tf.shape(features)[1], features.dtype)
    return tf.maximum(tf.reduce_sum(tf.cast(valid, features.dtype), axis=1, keepdims=True), 1)
