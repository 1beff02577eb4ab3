"""Which variables weight decay is for."""

from tensorflow import keras


def decayed_variables(model, biases=True):
    """The trainable variables of a Keras model that weight decay shrinks: all but batch-norm's, and biases by choice.

    Args:
        model: built Keras model.
        biases: whether biases decay too; they do in the GSP paper's protocols.

    Returns:
        list of variables.

    >>> images = keras.Input((8, 8, 3))
    >>> model = keras.Model(images, keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(images)))
    >>> len(decayed_variables(model)), len(decayed_variables(model, biases=False))
    (2, 1)
    """
    normalizers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    left_out = {id(variable) for layer in normalizers for variable in layer.trainable_weights}
    return [
        variable for variable in model.trainable_weights
        if id(variable) not in left_out and (biases or not _is_bias(variable))
    ]


def _is_bias(variable):
    # Keras 2.15 has "conv2d/bias:0", Keras 3 has "bias".
    return variable.name.partition(":")[0].rpartition("/")[2] == "bias"
