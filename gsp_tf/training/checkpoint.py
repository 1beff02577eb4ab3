"""Files that are whole or absent, whenever the process is killed."""

import contextlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from gsp_tf.errors import UserError
from gsp_tf.ops.replicas import as_array


@contextlib.contextmanager
def replaced(path):
    """Give a path to write to; what was written takes the place of ``path`` in one step, on success only."""
    path = Path(path)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            # A full disk is no fault of a file that the system would name.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path, text):
    """Write a text file in one step."""
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path, values):
    """Write a JSON file in one step. NaN and Inf are no JSON and raise ``ValueError``."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path):
    """The mapping that :func:`write_json` wrote, or :class:`UserError`."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"it holds no mapping but {type(values).__name__}")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it and start train.py again") from None
    return values


def save_checkpoint(path, groups, state):
    """Write named groups of variables or arrays and a JSON-able state in one file.

    Args:
        path: of the .npz file.
        groups: dict of lists of variables.
        state: plain values.
    """
    arrays = {f"{group}/{index}": as_array(value) for group, values in groups.items()
              for index, value in enumerate(values)}
    # As numpy.savez does, which leaves its archive open, and complaining later, where the disk is full.
    with replaced(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in {"state": np.array(json.dumps(state)), **arrays}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def load_checkpoint(path, groups):
    """Assign the variables of :func:`save_checkpoint` and return the state.

    Raises:
        UserError: if the file cannot be read or holds other variables; nothing is assigned then.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            state = json.loads(str(arrays.pop("state")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"checkpoint {path} cannot be read ({error}): delete it to train this run anew") from None
    variables = {f"{group}/{index}": variable for group, values in groups.items()
                 for index, variable in enumerate(values)}
    for name in [*variables, *arrays]:
        found = arrays[name].shape if name in arrays else "nothing"
        wanted = tuple(variables[name].shape) if name in variables else "nothing"
        if found != wanted:
            raise UserError(
                f"checkpoint {path} is of another model: at {name} it holds {found}, the config's model {wanted}; give "
                "the config that it was trained with, or another --out"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return state
