"""Typed configs: YAML in, one checked config per run out."""

import copy
import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml

from gsp_tf.errors import UserError

Positive = Annotated[int, pydantic.Field(ge=1)]


class Strict(pydantic.BaseModel):
    """Unknown keys are errors, and so are values of another type."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)


class Named(pydantic.BaseModel):
    """A name from one of the tables in ``build.py`` with the arguments of what it names."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def arguments(self):
        return dict(self.model_extra)


class ModelConfig(Strict):
    """Backbone, 1×1 convolution to the local features, pooling, L2 normalisation."""

    backbone: Named
    local_dim: Positive = 64
    pooling: Named


class PrototypesConfig(Strict):
    """How the prototypes of a GSP pooling start; nothing else has any."""

    initializer: Literal["k_center", "random"] = "k_center"
    num_features: Positive = 1024
    warmup_steps: Annotated[int, pydantic.Field(ge=0)] = 100


class TrainingConfig(Strict):
    """Budget, batches, optimizer and checkpoints."""

    steps: Positive = 600
    classes_per_batch: Annotated[int, pydantic.Field(ge=2)] = 16
    samples_per_class: Annotated[int, pydantic.Field(ge=2)] = 4
    optimizer: Named = Named(name="Adam", learning_rate=1e-3)
    evaluate_every: Positive = 50
    patience: Positive | None = None
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"

    @pydantic.model_validator(mode="after")
    def _whole_epochs(self):
        if self.steps % self.evaluate_every:
            raise ValueError(
                f"steps must be a multiple of evaluate_every; steps is {self.steps}, evaluate_every {self.evaluate_every}"
            )
        return self


class RunConfig(Strict):
    """Everything that fixes one training but its seed."""

    data: Named
    model: ModelConfig
    loss: Named
    regularizer: Named | None = None
    prototypes: PrototypesConfig = PrototypesConfig()
    training: TrainingConfig = TrainingConfig()


class JobConfig(Strict):
    """Several runs to compare: every method with every seed, on the same data and budget."""

    name: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9._-]+$")]
    seeds: Annotated[list[int], pydantic.Field(min_length=1)] = [0]
    methods: Annotated[dict[str, RunConfig], pydantic.Field(min_length=1)]


def load_job(path, overrides=(), seeds=None):
    """Read a job from a YAML file.

    A file may name another, relative to itself, as its ``base``: its own values go over that one's. What stands
    beside ``methods`` holds for every method; a method's own values go over it.

    Args:
        path: the YAML file.
        overrides: texts ``key.sub_key=value`` with YAML values, over the file's own.
        seeds: list of seeds in place of the file's, or None.

    Returns:
        :class:`JobConfig`.

    Raises:
        UserError: names the file, the key, what is allowed and the nearest valid key.
    """
    values = _read(Path(path))
    source = str(path)
    for text in overrides:
        _override(values, text)
    if overrides:
        source += " with its overrides"
    if seeds is not None:
        values["seeds"] = list(seeds)
    methods = values.get("methods", {})
    if not isinstance(methods, dict) or not methods:
        raise UserError(f"{source}: methods must map at least one method's name to its values; got {methods!r}")
    top_level = {*RunConfig.model_fields, *JobConfig.model_fields}
    for key in values:
        if key not in top_level:
            raise UserError(f"{source}: {_unknown(key, top_level, '')}")
    shared = {key: value for key, value in values.items() if key in RunConfig.model_fields}
    runs = {}
    for name, own in methods.items():
        if not isinstance(own, dict):
            raise UserError(f"{source}: methods.{name} must be a mapping; got {own!r}")
        runs[name] = parse_run(_merge(shared, own), source, f"methods.{name}.")
    return _validate(JobConfig, {**{k: v for k, v in values.items() if k not in shared}, "methods": runs}, source, "")


def parse_run(values, source, prefix=""):
    """Check the values of one run; ``source`` and ``prefix`` are for messages."""
    return _validate(RunConfig, values, source, prefix)


def as_plain(config):
    """A config as nested plain values, for YAML and JSON."""
    return config.model_dump(mode="json")


def _read(path, chain=()):
    if path in chain:
        raise UserError(f"{path}: base goes in a circle: {' -> '.join(map(str, (*chain, path)))}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], 1)
        raise UserError(f"config {path} does not exist" + (f"; nearest: {path.parent / near[0]}" if near else "")) \
            from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"config {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"config {path} must be a mapping of keys to values; got {type(values).__name__}")
    base = values.pop("base", None)
    if base is None:
        return values
    return _merge(_read(path.parent / str(base), (*chain, path)), values)


def _merge(base, over):
    """``over`` on top of ``base``, key by key; another ``name`` begins anew, since its arguments are others'."""
    if "name" in over and "name" in base and over["name"] != base["name"] and "methods" not in base:
        return copy.deepcopy(over)
    merged = dict(copy.deepcopy(base))
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _override(values, text):
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--override takes key=value, for example training.steps=300; got {text!r}")
    try:
        value = yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"--override {key}: {value!r} is not a YAML value; quote it") from None
    *parents, last = key.split(".")
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise UserError(f"--override {key}: {parent} holds the value {values!r} and has no keys below it")
    values[last] = value


def _validate(model, values, source, prefix):
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            raise UserError(f"{source}: {_unknown(place[-1], _keys_at(model, place[:-1]), prefix, place)}") from None
        key = prefix + ".".join(place)
        if first["type"] == "missing":
            raise UserError(f"{source}: {key} is missing: add it") from None
        raise UserError(f"{source}: {key}: {first['msg']}; got {_shown(first['input'])}") from None


def _unknown(key, valid, prefix, place=None):
    near = difflib.get_close_matches(str(key), sorted(valid), 1, cutoff=0.0)
    where = ".".join(place) if place else key
    parent = where.rpartition(".")[0]
    nearest = f"{prefix}{parent}.{near[0]}" if parent else f"{prefix}{near[0]}"
    return f"{prefix}{where} is not a key; the nearest valid key is {nearest}"


def _keys_at(model, place):
    for part in place:
        annotation: Any = model.model_fields[part].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next(option for option in options if isinstance(option, type) and issubclass(option, Strict))
    return list(model.model_fields)


def _shown(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
