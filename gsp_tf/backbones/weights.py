"""Files of weights: opened without running what is in them, and identified by their contents."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from tensorflow import keras

from gsp_tf.backbones.keras_h5 import read_keras_h5
from gsp_tf.backbones.keras_tensors import keras_tensors, load_keras_tensors
from gsp_tf.backbones.torch_state_dict import load_torch_state_dict
from gsp_tf.errors import UserError

TORCH_ENDS = (".weight", ".running_mean")


def load_weights(model, path):
    """Give a built model the weights of a file by name: of PyTorch if its names are, of Keras otherwise.

    Raises:
        UserError: see :func:`read_weights`, :func:`load_torch_state_dict` and :func:`load_keras_tensors`.
    """
    tensors = read_weights(path)
    load = load_torch_state_dict if any(name.endswith(TORCH_ENDS) for name in tensors) else load_keras_tensors
    try:
        load(model, tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def read_weights(path):
    """Read a file's tensors as a dict of names to NumPy arrays.

    ``numpy.savez("weights.npz", **read_weights("weights.pth"))`` makes a file that no longer needs PyTorch, and that
    both stacks read.

    Args:
        path: by its ending

            - ``.pth``, ``.pt``: a ``state_dict``, alone or under the key "state_dict"; needs PyTorch, the extra
              "torch". Only tensors and plain containers are unpickled.
            - ``.npz``: arrays by name; nothing is unpickled.
            - ``.h5``: of Keras's ``save_weights`` or ``save``, also those of ``keras.applications``.
            - ``.keras``: of Keras's ``save`` on this stack.

    Returns:
        dict; names of PyTorch are as in the file, names of Keras are ``layer/variable``.

    Raises:
        UserError: if there is no such file, of no such ending, or it cannot be read.
    """
    path = Path(path)
    reader = READERS.get(path.suffix)
    if reader is None:
        raise UserError(f"weights must be a file that ends in {', '.join(READERS)}; got {path}")
    if not path.is_file():
        raise UserError(f"weights {path}: there is no such file")
    return reader(path)


def weights_hash(path):
    """SHA-256 of a file, as 64 hexadecimal digits.

    Raises:
        UserError: if the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"weights {path}: {error.strerror}") from None
    return digest.hexdigest()


def _read_torch(path):
    try:
        import torch
    except ImportError:
        raise UserError(
            f'weights {path} need PyTorch to be opened: run pip install "gsp-tf[torch]", or convert them to .npz where '
            "PyTorch is, by numpy.savez(FILE, **gsp_tf.backbones.read_weights(PATH))"
        ) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers of three formats do
        raise _unreadable(path, error, "a state_dict saved by torch.save(model.state_dict(), PATH)") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"weights {path} must hold a state_dict, names with tensors, alone or under 'state_dict'")
    # NumPy has no bfloat16.
    return {
        name: (value.float() if value.dtype == torch.bfloat16 else value).numpy() for name, value in state.items()
    }


def _read_npz(path):
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error, "arrays saved by numpy.savez") from None


def _read_keras(path):
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # what a configuration's classes raise is theirs
        raise _unreadable(path, error, "a model saved by this stack's Keras, its layers' classes imported") from None
    return {name: variable.numpy() for name, variable in keras_tensors(model).items()}


def _read_h5(path):
    try:
        return read_keras_h5(path)
    except OSError as error:
        raise _unreadable(path, error, "weights saved by Keras") from None


READERS = {".pth": _read_torch, ".pt": _read_torch, ".npz": _read_npz, ".h5": _read_h5, ".keras": _read_keras}


def _unreadable(path, error, expected):
    reason = " ".join(str(error).split())[:300]
    return UserError(f"weights {path} cannot be read as {expected}: {reason}")
