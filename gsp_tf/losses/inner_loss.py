"""What an object needs that holds a loss: its check, its variables, its way in and out of a config."""

from tensorflow import keras


def check_loss(name, loss):
    """Return ``loss``, or raise ``TypeError`` unless it can be called."""
    if not callable(loss):
        raise TypeError(
            f"{name} must be a loss that is called as loss(labels, embeddings, ref_labels, ref_embeddings), such as "
            f"gsp_tf.ContrastiveLoss(); got {loss!r}"
        )
    return loss


def loss_layers(loss):
    """The layers whose variables a loss trains: a Keras ``Loss`` has no variables, so its owner must hold these."""
    if isinstance(loss, keras.layers.Layer):
        return [loss]
    return [value for value in getattr(loss, "__dict__", {}).values() if isinstance(value, keras.layers.Layer)]


def serialize_loss(loss):
    """The plain form of a loss, be it a Keras ``Loss`` or a layer, for ``get_config``; None stays None."""
    if isinstance(loss, keras.layers.Layer):
        return keras.layers.serialize(loss)
    return None if loss is None else keras.losses.serialize(loss)


def deserialize_loss(config):
    """The loss of :func:`serialize_loss`."""
    return None if config is None else keras.losses.deserialize(config)
