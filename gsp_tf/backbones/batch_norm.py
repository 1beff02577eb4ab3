"""Batch-norm whose statistics, scale and offset training leaves as they are."""

from tensorflow import keras


def freeze_batch_norm(model):
    """Keep the moving statistics, the scale and the offset of every batch-norm in a model, nested ones included.

    A frozen batch-norm normalises by its moving statistics in training too, so that no sample's features depend on the
    others of the batch. The mark is saved with the model. Setting ``model.trainable`` afterwards undoes it.

    Args:
        model: built Keras model or layer; changed in place.

    Returns:
        the model.

    >>> images = keras.Input((8, 8, 3))
    >>> model = keras.Model(images, keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(images)))
    >>> len(freeze_batch_norm(model).trainable_weights)
    2
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model
