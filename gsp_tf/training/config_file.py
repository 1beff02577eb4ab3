"""YAML files as nested values, with their bases and overrides, before any key is checked."""

import difflib
import re
from pathlib import Path

import yaml

from gsp_tf.errors import UserError


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: 1e-3 is a number, as in YAML 1.2, and the same key twice is an error."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_config(path, chain=()):
    """Read a file over its ``base``, if it names one or a list, relative to itself.

    Of a list each file goes over those before it. ``chain`` holds the files that led here.
    """
    path = Path(path)
    if path.resolve() in [other.resolve() for other in chain]:
        raise UserError(f"{chain[0]}: base goes in a circle: {' -> '.join(map(str, (*chain, path)))}")
    if not path.exists():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], 1)
        raise UserError(
            f"config {path}{f', the base of {chain[-1]},' if chain else ''} does not exist"
            + (f"; nearest: {path.parent / near[0]}" if near else "")
        )
    values = read_mapping(path)
    bases = values.pop("base", [])
    below = {}
    for base in bases if isinstance(bases, list) else [bases]:
        below = merge(below, read_config(path.parent / str(base), (*chain, path)))
    return merge(below, values)


def read_mapping(path):
    """The mapping of keys to values that a YAML file holds, or :class:`UserError`."""
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} must be a mapping of keys to values; got {type(values).__name__}")
    return values


def merge(base, over):
    """``over`` on top of ``base``, key by key; a part with another ``name`` begins anew: its arguments are others."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and not _renamed(old, value):
            value = merge(old, value)
        merged[key] = value
    return merged


def override(values, text):
    """``values`` with what a text ``key.sub_key=value`` says."""
    key, equals, value = text.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise UserError(f"--override takes key=value, for example training.steps=300; got {text!r}")
    try:
        value = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError:
        raise UserError(f"--override {key}: {value!r} is not a YAML value; quote it") from None
    return put(values, parts, value, f"--override {key}")


def put(values, keys, value, place):
    """``values`` with ``value`` below the keys, from the top down; ``place`` begins the message if that cannot be."""
    first, *rest = keys
    if not rest:
        return {**values, first: value}
    below = {} if values.get(first) is None else values[first]
    if not isinstance(below, dict):
        raise UserError(f"{place}: {first} holds the value {below!r} and has no keys below it")
    return {**values, first: put(below, rest, value, place)}


def _renamed(old, new):
    return "name" in old and "name" in new and old["name"] != new["name"]
