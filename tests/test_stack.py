"""The stack check: which TensorFlow and Keras are let in, and what the others are told."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from gsp_tf import stack
from gsp_tf.stack import Stack, check_stack

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "accepted",
    [
        Stack("2.15.0", "2.15.0"),
        Stack("2.15.1", "2.15.0"),
        Stack("2.15.1", "2.15.0", backend="jax"),
        Stack("2.16.0-rc0", "3.0.5"),
        Stack("2.16.1", "3.3.3", legacy_keras="0"),
        Stack("2.21.0", "3.15.1"),
    ],
)
def test_supported_stacks_pass(accepted):
    check_stack(accepted)


@pytest.mark.parametrize(
    ("refused", "parts"),
    [
        (Stack(None, None), ["TensorFlow is not installed", "2.15 to 2.21", stack.REQUIREMENT]),
        (Stack("2.14.1", "2.14.0"), ["2.15 to 2.21", "got TensorFlow 2.14.1", stack.REQUIREMENT]),
        (Stack("2.22.0", "3.15.1"), ["2.15 to 2.21", "got TensorFlow 2.22.0", stack.REQUIREMENT]),
        (Stack("1.15.5", "2.3.1"), ["got TensorFlow 1.15.5"]),
        (Stack("3.0.0", "3.15.1"), ["got TensorFlow 3.0.0"]),
        (Stack("unknown", "3.15.1"), ["got TensorFlow unknown"]),
        (Stack("2.15.1", "3.15.1"), ["needs Keras 2.15", "got Keras 3.15.1", "keras==2.15.*"]),
        (Stack("2.15.1", None), ["needs Keras 2.15", "Keras is not installed"]),
        (Stack("2.15.1", "2.15.0", "1"), ["TF_USE_LEGACY_KERAS=1", "unset"]),
        (Stack("2.16.1", "2.15.0"), ["needs Keras 3", "got Keras 2.15.0", "keras<4"]),
        (Stack("2.21.0", "4.0.0"), ["needs Keras 3", "got Keras 4.0.0"]),
        (Stack("2.21.0", None), ["needs Keras 3", "Keras is not installed"]),
        (Stack("2.21.0", "3.15.1", "True"), ["TF_USE_LEGACY_KERAS=True", "unset", "tensorflow==2.15.*"]),
        (Stack("2.21.0", "3.15.1", "", "jax"), ["backend", "got jax", "KERAS_BACKEND=tensorflow"]),
    ],
)
def test_other_stacks_are_told_in_one_line_how_to_mend_it(refused, parts):
    with pytest.raises(ImportError) as caught:
        check_stack(refused)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_the_running_stack_passes():
    check_stack()


def test_installed_stack_reads_this_process(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "true")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    import tensorflow as tf

    expected = Stack(tf.__version__, importlib.metadata.version("keras"), "true", "torch")
    assert stack.installed_stack() == expected


def test_missing_tensorflow_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="TensorFlow is not installed"):
        check_stack()


def test_missing_keras_is_reported(monkeypatch):
    def not_found(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", not_found)
    with pytest.raises(ImportError, match="Keras is not installed"):
        check_stack()


@pytest.mark.parametrize(
    ("text", "backend"),
    [('{"backend": "jax"}', "jax"), ("{}", "tensorflow"), ("[]", "tensorflow"), ("{", "tensorflow")],
)
def test_backend_comes_from_the_configuration_file_of_keras(monkeypatch, tmp_path, text, backend):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text(text, encoding="utf-8")
    assert stack.installed_stack().backend == backend


def test_setup_requires_the_range_that_is_checked():
    assert f'"{stack.REQUIREMENT}"' in (ROOT / "setup.py").read_text(encoding="utf-8")
