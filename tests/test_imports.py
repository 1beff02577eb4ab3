"""The shape of the package: imports run one way only, Keras comes with TensorFlow, files stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "gsp_tf"

LEVELS = {
    "ops": 0,
    "transport": 1,
    "pooling": 2,
    "regularizers": 2,
    "losses": 2,
    "metrics": 2,
    "data": 2,
    "backbones": 2,
    "training": 3,
    "protocols": 4,
    "export": 5,
    "report": 5,
    "commands": 6,
    "experiments": 7,
}
# Modules beside the rooms: every room may import them, and they import no room.
BASE = {"errors", "version", "stack"}
MAX_LINES = 300
# Keras is reached through TensorFlow, so that it is the one of the stack; these two exist in Keras 3 only.
FORBIDDEN = ("keras", "tensorflow.keras.ops", "tensorflow.keras.random")

PACKAGE_FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
ALL_FILES = PACKAGE_FILES + sorted(
    path
    for pattern in ("*.py", "tests/**/*.py", "benchmarks/**/*.py", "docs/**/*.py")
    for path in ROOT.glob(pattern)
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that is imported, wherever in the file that is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, "." * node.level + ".".join(filter(None, (node.module, alias.name)))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).split(".")[-1]
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def level_violations(source: str, module: str) -> list[str]:
    """What the imports of `source`, the code of the dotted `module`, break of the one-way rule."""
    parts = module.split(".")
    if parts == [PACKAGE]:
        return []
    room = parts[1]
    if room not in LEVELS and room not in BASE:
        return [f"{module}: {room} is neither a room with a level nor a base module"]
    violations = []
    for line, name in imported_names(ast.parse(source)):
        if name.startswith("."):
            violations.append(f"{module}:{line}: relative import of {name}")
            continue
        target = name.split(".")
        if target[0] != PACKAGE or (len(target) > 1 and target[1] in (*BASE, room)):
            continue
        other = target[1] if len(target) > 1 else None
        if other not in LEVELS:
            violations.append(f"{module}:{line}: imports {name}, the package's front or an unknown room")
        elif room in BASE or LEVELS[other] >= LEVELS[room]:
            violations.append(f"{module}:{line}: imports {other}, which is not below {room}")
    return violations


def keras_violations(source: str) -> list[str]:
    """Where `source` imports Keras by itself, or uses what Keras 2.15 does not have, under whatever name."""
    tree = ast.parse(source)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    uses = list(imported_names(tree))
    for node in ast.walk(tree):
        attributes, root = [], node
        while isinstance(root, ast.Attribute):
            attributes.append(root.attr)
            root = root.value
        if attributes and isinstance(root, ast.Name) and root.id in names:
            full = ".".join([names[root.id], *reversed(attributes)])
            uses.append((node.lineno, full))
    return [
        f"line {line}: {name}"
        for line, name in sorted(set(uses))
        if any(name == banned or name.startswith(banned + ".") for banned in FORBIDDEN)
    ]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_there_is_a_package_to_check():
    found = {module_name(path).split(".")[1] for path in PACKAGE_FILES if path.parent != ROOT / PACKAGE}
    assert {"ops", "transport", "pooling", "training"} <= found


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=relative)
def test_imports_run_one_way(path):
    assert level_violations(path.read_text(encoding="utf-8"), module_name(path)) == []


@pytest.mark.parametrize("path", ALL_FILES, ids=relative)
def test_keras_comes_with_tensorflow(path):
    assert keras_violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=relative)
def test_files_are_small_and_named_for_what_they_hold(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert path.name not in ("utils.py", "util.py", "helpers.py", "misc.py", "common.py")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gsp_tf", "from gsp_tf.report.page import Page"),
        ("gsp_tf.ops.a", "import numpy as np\nfrom gsp_tf.ops.b import c\nfrom gsp_tf.errors import E"),
        ("gsp_tf.pooling.gsp", "from gsp_tf.transport import plan\nfrom gsp_tf.ops.b import c"),
        ("gsp_tf.pooling", "from gsp_tf.pooling.gsp import GSPLayer"),
        ("gsp_tf.report.page", "from gsp_tf import version\nimport gsp_tf.protocols.fair"),
        ("gsp_tf.errors", "import re"),
    ],
)
def test_checker_accepts_what_runs_downwards(module, source):
    assert level_violations(source, module) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gsp_tf.ops.a", "from gsp_tf.transport.plan import b"),
        ("gsp_tf.ops.a", "def f():\n    from gsp_tf.transport.plan import b"),
        ("gsp_tf.ops.a", "import importlib\nimportlib.import_module('gsp_tf.transport')"),
        ("gsp_tf.pooling.gsp", "from gsp_tf.losses.contrastive import b"),
        ("gsp_tf.pooling.gsp", "import gsp_tf.losses.contrastive as c"),
        ("gsp_tf.pooling.gsp", "from gsp_tf import losses"),
        ("gsp_tf.pooling.gsp", "from gsp_tf import GSPLayer"),
        ("gsp_tf.pooling.gsp", "import gsp_tf"),
        ("gsp_tf.pooling.gsp", "from . import gmp"),
        ("gsp_tf.pooling.gsp", "from ..ops import checks"),
        ("gsp_tf.export.saved_model", "from gsp_tf.report.page import Page"),
        ("gsp_tf.errors", "from gsp_tf.ops.checks import check"),
        ("gsp_tf.attic.old", "import numpy"),
    ],
)
def test_checker_finds_what_does_not(module, source):
    assert len(level_violations(source, module)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from tensorflow import keras\nkeras.utils.set_random_seed(1)\nx = keras.layers.Dense(1)",
        "import tensorflow as tf\nx = tf.random.normal((2,))\ny = tf.keras.losses.Loss",
        "import numpy as np\nx = np.random.default_rng(0)",
        "from gsp_tf.ops import checks\nkeras_like = 1",
    ],
)
def test_keras_checker_accepts_both_stacks_code(source):
    assert keras_violations(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import keras",
        "from keras import layers",
        "import keras.layers as layers",
        "from tensorflow import keras\nx = keras.ops.ones((2,))",
        "from tensorflow import keras as k\nx = k.random.normal((2,))",
        "import tensorflow as tf\nx = tf.keras.ops.ones((2,))",
        "import tensorflow\nx = tensorflow.keras.ops.ones((2,))",
        "from tensorflow.keras import ops",
        "from tensorflow.keras import random as r",
        "import tensorflow.keras.ops as ops",
        "__import__('keras')",
    ],
)
def test_keras_checker_finds_the_others(source):
    assert keras_violations(source) != []
