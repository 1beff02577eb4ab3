"""Weights of PyTorch networks in Keras models."""

from tensorflow import keras

from gsp_tf.backbones.keras_tensors import own_variables
from gsp_tf.backbones.named_tensors import assign_tensors
from gsp_tf.errors import UserError

# Of each kind of layer, PyTorch's name of a variable and the order of its axes here.
CONVOLUTION = {"kernel": ("weight", (2, 3, 1, 0)), "bias": ("bias", None)}
DENSE = {"kernel": ("weight", (1, 0)), "bias": ("bias", None)}
NORM = {
    "gamma": ("weight", None),
    "beta": ("bias", None),
    "moving_mean": ("running_mean", None),
    "moving_variance": ("running_var", None),
}
KINDS = {
    keras.layers.Conv2D: CONVOLUTION,
    keras.layers.Dense: DENSE,
    keras.layers.BatchNormalization: NORM,
    keras.layers.LayerNormalization: NORM,
}
# Batch-norm's counter of steps, and the classifier, which a feature map comes before.
IGNORED = ("num_batches_tracked", "last_linear.", "fc.")


def load_torch_state_dict(model, state):
    """Give a Keras model the tensors of a PyTorch ``state_dict``; PyTorch itself is not needed.

    The layer ``conv1`` takes ``conv1.weight``, its axes turned from (out, in, rows, columns), and ``conv1.bias``; a
    batch-norm takes ``.weight``, ``.bias``, ``.running_mean`` and ``.running_var``. ``num_batches_tracked`` and a
    classifier ``last_linear.*`` or ``fc.*`` may be there and are left out; a ``module.`` before every name is dropped.
    The channels of the first convolution keep their order: a network of BGR images stays one.

    Args:
        model: built Keras model whose layers have the network's names.
        state: mapping of names to NumPy arrays.

    Raises:
        UserError: if tensors are missing, unexpected or misshapen, with every one named; then no weight has changed.

    >>> import numpy as np
    >>> images = keras.Input((4, 4, 3))
    >>> model = keras.Model(images, keras.layers.Conv2D(2, 1, use_bias=False, name="conv1")(images))
    >>> load_torch_state_dict(model, {"conv1.weight": np.ones((2, 3, 1, 1)), "fc.bias": np.ones(9)})
    >>> float(np.sum(model.get_weights()[0]))
    6.0
    """
    if state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    variables = {}
    for path, layer, own in own_variables(model):
        names = next((names for kind, names in KINDS.items() if type(layer) is kind), None)
        if own and names is None:
            raise UserError(
                f"a state_dict can be loaded into {', '.join(kind.__name__ for kind in KINDS)}; {model.name} has "
                f"weights in {layer.name}, a {type(layer).__name__}"
            )
        for name, variable in own.items():
            there, axes = names[name]
            variables[f"{path}.{there}"] = (variable, axes)
    assign_tensors(model.name, variables, state, IGNORED)
