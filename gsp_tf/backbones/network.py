"""From a function of images to a backbone: weights, frozen batch-norm, one layer in the model it is part of."""

from tensorflow import keras

from gsp_tf.backbones.batch_norm import freeze_batch_norm
from gsp_tf.backbones.weights import load_weights


def backbone(build, images, name, weights, frozen_batch_norm):
    """Make a network of its own, with its layers' names, and apply it to images.

    Args:
        build: function from a (B, H, W, C) Keras tensor to the feature map.
        images: (B, H, W, C) tensor, or the (H, W, C) shape of images, whose H and W may be None.
        name: of the network.
        weights: path of a file for :func:`load_weights`, or None for random ones.
        frozen_batch_norm: whether :func:`freeze_batch_norm` is applied.

    Returns:
        the feature map of a tensor; for a shape the ``keras.Model``.

    Raises:
        ValueError: if the images are not of rank 4, or the shape not of three sizes.
        UserError: see :func:`load_weights`.
    """
    by_shape = isinstance(images, (tuple, list))
    shape = tuple(images) if by_shape else tuple(images.shape)[1:]
    if len(shape) != 3 or shape[-1] is None:
        raise ValueError(
            f"images of {name} must be a (B, H, W, C) tensor or an (H, W, C) shape with C given; got "
            f"{'' if by_shape else 'a tensor of '}shape {tuple(images if by_shape else images.shape)}"
        )
    inputs = keras.Input(shape)
    network = keras.Model(inputs, build(inputs), name=name)
    if weights is not None:
        load_weights(network, weights)
    if frozen_batch_norm:
        freeze_batch_norm(network)
    return network if by_shape else network(images)
