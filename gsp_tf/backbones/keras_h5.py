"""The tensors of Keras's three forms of ``.h5``, under the names of :func:`keras_tensors`."""

import h5py

from gsp_tf.errors import UserError


def read_keras_h5(path):
    """Read weights that Keras saved.

    ``keras.applications`` and Keras 2 keep ``layer/layer/variable:0``; a whole model has the same under
    ``model_weights``; Keras 3's ``.weights.h5`` numbers the variables of a layer, and notes the layer's name beside
    them, which is read here.

    Returns:
        dict of ``layer/variable``, or ``layer/number``, to array.

    Raises:
        OSError: if it is no such file.
        UserError: for a ``.weights.h5`` of Keras 2, in which layers have no names.
    """
    tensors = {}
    with h5py.File(path) as file:
        root = file["model_weights"] if "model_weights" in file else file

        def visit(place, item):
            if isinstance(item, h5py.Dataset) and "seed_generator" not in place:
                parts = place.split("/")
                name = _numbered_name(root, parts, path) if parts[-2:-1] == ["vars"] else _named(parts)
                tensors[name] = item[()]

        root.visititems(visit)
    return tensors


def _named(parts):
    layer, inner = parts[0], parts[1:]
    if len(inner) > 1 and inner[0] == layer:
        inner = inner[1:]
    return "/".join([layer, *inner]).partition(":")[0]


def _numbered_name(root, parts, path):
    names = []
    for length in range(1, len(parts) - 1):
        # A list of layers has no variables, and no name either.
        variables = root.get("/".join([*parts[:length], "vars"]))
        if variables is None:
            continue
        if "name" not in variables.attrs:
            raise UserError(
                f"weights {path} were saved without the layers' names, as Keras 2 does in .weights.h5: save the model "
                "as .keras, or its weights as .h5"
            )
        names.append(variables.attrs["name"])
    return "/".join([*names, parts[-1]])
