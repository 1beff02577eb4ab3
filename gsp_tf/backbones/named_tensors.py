"""Give a model's variables the values of a file's tensors, or say all that is wrong with them."""

import numpy as np

from gsp_tf.errors import UserError


def assign_tensors(model_name, variables, tensors, ignored=()):
    """Assign every variable the tensor of its name; nothing is assigned unless everything fits.

    Args:
        model_name: for messages.
        variables: dict of the tensor's name to a pair of the variable and the order of the tensor's axes in it, None
            for the same order.
        tensors: mapping of names to arrays.
        ignored: tuple of beginnings and ends of names that may be there without a variable.

    Raises:
        UserError: if tensors are missing, unexpected, or of another shape; every one is named.

    >>> import tensorflow as tf
    >>> kernel = tf.Variable([[0.0, 0.0]])
    >>> assign_tensors("net", {"fc.weight": (kernel, (1, 0))}, {"fc.weight": np.array([[1.0], [2.0]])})
    >>> kernel.numpy().tolist()
    [[1.0, 2.0]]
    """
    missing = [name for name in variables if name not in tensors]
    unexpected = [
        name for name in tensors
        if name not in variables and not name.startswith(ignored) and not name.endswith(ignored)
    ]
    misshapen, values = [], {}
    for name, (variable, axes) in variables.items():
        if name not in tensors:
            continue
        value, shape = np.asarray(tensors[name]), tuple(variable.shape)
        expected = shape if axes is None else tuple(shape[axes.index(axis)] for axis in range(len(shape)))
        # Early converted checkpoints keep Caffe's row (1, C) for a vector.
        if len(expected) == 1 and value.shape == (1, *expected):
            value = value[0]
        if value.dtype.kind not in "fiu":
            misshapen.append(f"{name} (holds {value.dtype}, no numbers)")
        elif value.shape != expected:
            misshapen.append(f"{name} (is {value.shape}, must be {expected})")
        else:
            values[name] = value if axes is None else value.transpose(axes)
    problems = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    if any(problems.values()):
        listed = "; ".join(f"{len(names)} {kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        raise UserError(f"the weights do not fit {model_name}, and none was loaded: {listed}")
    for name, value in values.items():
        variable = variables[name][0]
        variable.assign(value.astype(np.dtype(getattr(variable.dtype, "as_numpy_dtype", variable.dtype))))
