"""Which TensorFlow and Keras gsp_tf runs on, checked before anything else of the package is imported."""

import json
import os
import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

REQUIREMENT = "tensorflow>=2.15,<2.22"

_OLDEST = (2, 15)
_NEWEST = (2, 21)
_MEND_CURRENT = f'run: pip install --upgrade "{REQUIREMENT}" "keras<4"'
_MEND_ADDONS = 'run: pip install "tensorflow==2.15.*" "keras==2.15.*"'


class Stack(NamedTuple):
    """What decides whether gsp_tf can run; a version is None where the library is not installed."""

    tensorflow: str | None
    keras: str | None
    legacy_keras: str = ""
    backend: str = "tensorflow"


def installed_stack() -> Stack:
    """Read the stack of this process, without importing Keras.

    Keras's version comes from its metadata: `tensorflow.keras` of 2.15 has no `__version__`, and importing
    Keras fails with a message of its own in just the cases that `check_stack` has a clearer one for.

    Raises:
        ImportError: TensorFlow is installed but does not import; the error is TensorFlow's own.
    """
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        tensorflow_version = None
    else:
        tensorflow_version = tf.__version__
    try:
        keras_version = metadata.version("keras")
    except metadata.PackageNotFoundError:
        keras_version = None
    legacy_keras = os.environ.get("TF_USE_LEGACY_KERAS", "")
    return Stack(tensorflow_version, keras_version, legacy_keras, _configured_backend())


def check_stack(stack: Stack | None = None) -> None:
    """Refuse a TensorFlow and Keras that gsp_tf does not run on.

    Args:
        stack: versions and settings to judge; those of this process where it is left out.

    Raises:
        ImportError: TensorFlow is missing or outside 2.15 to 2.21, Keras is not the one that belongs to it
            (2.15 for TensorFlow 2.15, 3 for a newer one), `TF_USE_LEGACY_KERAS` asks for Keras 2 in its
            place, or Keras 3 is set to another backend than TensorFlow. The message is one line and says how
            to mend it.

    Example:
        >>> check_stack(Stack(tensorflow="2.21.0", keras="3.12.0"))
        >>> check_stack(Stack(tensorflow="2.15.1", keras="2.15.0"))
    """
    problem = _problem(installed_stack() if stack is None else stack)
    if problem is not None:
        raise ImportError(problem)


def _problem(stack: Stack) -> str | None:
    if stack.tensorflow is None:
        return f"gsp_tf needs TensorFlow 2.15 to 2.21, and TensorFlow is not installed; {_MEND_CURRENT}"
    if not _OLDEST <= _major_minor(stack.tensorflow) <= _NEWEST:
        return f"gsp_tf needs TensorFlow 2.15 to 2.21, got TensorFlow {stack.tensorflow}; {_MEND_CURRENT}"
    if stack.legacy_keras.lower() in ("1", "true"):
        return (
            f"gsp_tf runs on the Keras that belongs to TensorFlow {stack.tensorflow}, "
            f"and TF_USE_LEGACY_KERAS={stack.legacy_keras} asks for another; "
            "unset TF_USE_LEGACY_KERAS, or for Keras 2 " + _MEND_ADDONS
        )
    keras = f"got Keras {stack.keras}" if stack.keras else "Keras is not installed"
    if _major_minor(stack.tensorflow) == (2, 15):
        if stack.keras is None or _major_minor(stack.keras) != (2, 15):
            return f"gsp_tf needs Keras 2.15 with TensorFlow {stack.tensorflow}, {keras}; {_MEND_ADDONS}"
        return None
    if stack.keras is None or _major_minor(stack.keras)[0] != 3:
        return f"gsp_tf needs Keras 3 with TensorFlow {stack.tensorflow}, {keras}; {_MEND_CURRENT}"
    if stack.backend != "tensorflow":
        return (
            f"gsp_tf needs Keras's backend to be tensorflow, got {stack.backend}; "
            "set KERAS_BACKEND=tensorflow before Keras is imported"
        )
    return None


def _major_minor(version: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _configured_backend() -> str:
    """The backend Keras 3 is going to take: the environment's, else that of its configuration file."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        # Keras, too, goes on with its default where this file is missing or unreadable.
        return "tensorflow"
