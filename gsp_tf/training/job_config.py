"""Typed jobs: YAML in, checked configs of several runs out."""

import difflib
import functools
import itertools
from typing import Annotated, Literal

import pydantic

from gsp_tf.errors import UserError
from gsp_tf.training.config import RunConfig, Strict, unknown_key, validate
from gsp_tf.training.config_file import merge, override, read_config

Seed = Annotated[int, pydantic.Field(ge=0, lt=2**32)]
# Names become folders, so they are made of what every file system takes.
JobName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
MethodName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9.,=+@_-]*$")]


class ProtocolConfig(Strict):
    """Which runs a method has: see :mod:`gsp_tf.protocols`. Its repeats are the job's seeds."""

    name: Literal["comparison", "fair", "conventional", "tuning"] = "comparison"
    folds: Annotated[int, pydantic.Field(ge=2)] | None = None


class PublishedConfig(Strict):
    """The rows of the papers' tables that the methods' own results stand beside."""

    tables: Annotated[list[str], pydantic.Field(min_length=1)]
    dataset: str
    rows: dict[MethodName, str | list[str]]


class JobConfig(Strict):
    """Several runs to compare: every method with every seed, on the same data and budget."""

    name: JobName
    protocol: ProtocolConfig = ProtocolConfig()
    published: PublishedConfig | None = None
    seeds: Annotated[list[Seed], pydantic.Field(min_length=1)] = [0]
    methods: Annotated[dict[MethodName, RunConfig], pydantic.Field(min_length=1)]

    @pydantic.field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds):
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds must be different; got {seeds}")
        return seeds


def load_job(path, overrides=(), seeds=None, only=None):
    """Read a job from a YAML file.

    A file may name another, relative to itself, as its ``base``: its own values go over that one's. What stands
    beside ``methods`` holds for every method; a method's own values go over it. ``axes`` maps the names of axes to
    options, and these to values: every choice of one option an axis is a method, named ``option@option``, in the
    order of the axes; null in place of values leaves out an option of the base. ``keep`` lists the methods that are
    kept; without it all are.

    Args:
        path: the YAML file.
        overrides: texts ``key.sub_key=value`` with YAML values, over the file's own.
        seeds: list of seeds in place of the file's, or None.
        only: names of the methods to keep, or None for all; the others are not checked.

    Returns:
        :class:`JobConfig`.

    Raises:
        UserError: names the file, the key, what is allowed and the nearest valid key.
    """
    values = read_config(path)
    source = str(path)
    for text in overrides:
        values = override(values, text)
    if overrides:
        source += " with its overrides"
    if seeds is not None:
        values = {**values, "seeds": list(seeds)}
    keep = values.pop("keep", None)
    values = _with_axes(values, source)
    top_level = {*RunConfig.model_fields, *JobConfig.model_fields}
    for key in values:
        if key not in top_level:
            raise UserError(f"{source}: {unknown_key([str(key)], top_level, '')}")
    methods = values.get("methods")
    if not isinstance(methods, dict) or not methods:
        raise UserError(f"{source}: methods must map at least one method's name to its values; got {methods!r}")
    methods = _chosen(methods, keep, f"{source}: keep")
    methods = _chosen(methods, only, f"{source}: --method")
    shared = {key: value for key, value in values.items() if key in RunConfig.model_fields}
    runs = {}
    for name, own in methods.items():
        if not isinstance(own, dict):
            raise UserError(f"{source}: methods.{name} must be a mapping; got {own!r}")
        runs[name] = validate(RunConfig, merge(shared, own), source, f"methods.{name}.", own)
    return validate(JobConfig, {**{k: v for k, v in values.items() if k not in shared}, "methods": runs}, source)


def _chosen(methods, names, option):
    """The methods that are named, or all where ``names`` is None."""
    if names is None:
        return methods
    if not isinstance(names, list) or not names:
        raise UserError(f"{option} must be a list of at least one method's name; got {names!r}")
    for name in names:
        if name not in methods:
            near = difflib.get_close_matches(str(name), methods, 1, cutoff=0.0)[0]
            raise UserError(f"{option} must be of {', '.join(methods)}; got {name!r}; nearest: {near}")
    return {name: own for name, own in methods.items() if name in names}


def _with_axes(values, source):
    """The values with every choice of the axes' options among the methods."""
    if "axes" not in values:
        return values
    axes = values["axes"]
    if not isinstance(axes, dict) or not axes:
        raise UserError(f"{source}: axes must map at least one axis to its options; got {axes!r}")
    choices = []
    for axis, options in axes.items():
        if isinstance(options, dict):
            options = {option: own for option, own in options.items() if own is not None}
        if not isinstance(options, dict) or not options:
            raise UserError(f"{source}: axes.{axis} must map at least one option's name to its values; got {options!r}")
        for option, own in options.items():
            if not isinstance(own, dict):
                raise UserError(f"{source}: axes.{axis}.{option} must be a mapping; got {own!r}")
        choices.append(options.items())
    methods = {
        "@".join(option for option, _ in choice): functools.reduce(merge, (own for _, own in choice))
        for choice in itertools.product(*choices)
    }
    named = values.get("methods", {})
    if isinstance(named, dict):
        named = merge(methods, named)
    return {**{key: value for key, value in values.items() if key != "axes"}, "methods": named}
