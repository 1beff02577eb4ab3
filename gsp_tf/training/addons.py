"""Losses and optimizers of tensorflow-addons, by the name ``Addons>Name``."""

import difflib
import inspect

from gsp_tf.errors import UserError

PREFIX = "Addons>"


def is_addon(name):
    """Whether a config's name asks for something of tensorflow-addons."""
    return name.startswith(PREFIX)


def make_addon(key, module, name, arguments):
    """Make ``tensorflow_addons.<module>.<Name>``.

    Args:
        key: of the config, for messages.
        module: "losses" or "optimizers".
        name: ``Addons>Name``.
        arguments: of its constructor.

    Raises:
        UserError: without tensorflow-addons, for a name it does not have, or arguments it does not take.
    """
    try:
        import tensorflow_addons
    except ImportError:
        raise UserError(
            f"{key}.name {name} needs tensorflow-addons, which needs TensorFlow 2.15: in an environment of its own, "
            'run pip install "gsp-tf[addons]"'
        ) from None
    found = vars(getattr(tensorflow_addons, module))
    classes = {title: value for title, value in found.items() if isinstance(value, type)}
    title = name.removeprefix(PREFIX)
    if title not in classes:
        near = difflib.get_close_matches(title, classes, 1, cutoff=0.0)[0]
        raise UserError(f"{key}.name: tensorflow-addons has no {title} among its {module}; nearest: {PREFIX}{near}")
    if module == "losses":
        # Some losses drop what they do not know; optimizers refuse it.
        valid = [argument for argument in inspect.signature(classes[title]).parameters if argument != "kwargs"]
        for argument in arguments:
            if argument not in valid:
                near = difflib.get_close_matches(argument, valid, 1, cutoff=0.0)[0]
                raise UserError(f"{key}.{argument} is not an argument of {name}; the nearest valid key is {key}.{near}")
        if "reduction" in valid:
            # Under a strategy Keras refuses to average a loss's terms by itself; the learner does.
            arguments = {"reduction": "none", **arguments}
    try:
        return classes[title](**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{key}: {name}: {' '.join(str(error).split())}") from None
