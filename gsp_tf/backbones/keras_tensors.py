"""Names of a Keras model's variables, the same on both stacks and in every kind of file."""

from gsp_tf.backbones.named_tensors import assign_tensors
from gsp_tf.errors import UserError

# The classifier of Keras's own networks.
IGNORED = ("predictions/",)


def own_variables(layer, path=""):
    """Yield ``(path, layer, {name: variable})`` of a layer and all within it, without what is within from the dict.

    >>> from tensorflow import keras
    >>> images = keras.Input((4, 4, 3))
    >>> model = keras.Model(images, keras.layers.Conv2D(2, 1, name="conv1")(images))
    >>> [(path, list(own)) for path, layer, own in own_variables(model) if own]
    [('conv1', ['kernel', 'bias'])]
    """
    inner = list(layer._flatten_layers(include_self=False, recursive=False))
    within = {id(variable) for child in inner for variable in child.weights}
    own = [variable for variable in layer.weights if id(variable) not in within]
    # Keras 2.15 has "conv1/kernel:0", Keras 3 has "kernel".
    yield path, layer, {variable.name.partition(":")[0].rpartition("/")[2]: variable for variable in own}
    for child in inner:
        yield from own_variables(child, f"{path}/{child.name}".lstrip("/"))


def keras_tensors(model):
    """The variables of a built model as dict of ``layer/name``, or ``layer/inner/name``, to variable.

    Raises:
        UserError: if two layers have one name.

    >>> from tensorflow import keras
    >>> images = keras.Input((4, 4, 3))
    >>> list(keras_tensors(keras.Model(images, keras.layers.Conv2D(2, 1, name="conv1")(images))))
    ['conv1/kernel', 'conv1/bias']
    """
    tensors = {}
    for path, _, own in own_variables(model):
        for name, variable in own.items():
            key = f"{path}/{name}".lstrip("/")
            if tensors.setdefault(key, variable) is not variable:
                raise UserError(f"{model.name} has several layers named {path}: give them names of their own")
    return tensors


def load_keras_tensors(model, tensors):
    """Give a built model the tensors of :func:`keras_tensors`' names, whatever layer they were in before.

    A file of a larger model, in which this one is a layer of its name, will do: the rest of it is left out. The number
    of a variable within its layer, as in Keras 3's ``.weights.h5``, stands for its name.

    Raises:
        UserError: if tensors are missing, unexpected or misshapen, with every one named; then no weight has changed.
    """
    numbered = {
        f"{path}/{number}".lstrip("/"): f"{path}/{name}".lstrip("/")
        for path, _, own in own_variables(model) for number, name in enumerate(own)
    }
    prefix = f"{model.name}/"
    if any(name.startswith(prefix) for name in tensors):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    tensors = {numbered.get(name, name): value for name, value in tensors.items()}
    variables = {name: (variable, None) for name, variable in keras_tensors(model).items()}
    assign_tensors(model.name, variables, tensors, IGNORED)
