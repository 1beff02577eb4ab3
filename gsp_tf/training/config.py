"""Typed configs: YAML in, one checked config per run out."""

import difflib
import functools
import itertools
from typing import Annotated, Any, Literal

import pydantic

from gsp_tf.errors import UserError
from gsp_tf.training.config_file import merge, override, read_config

Positive = Annotated[int, pydantic.Field(ge=1)]
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**32)]
# Names become folders, so they are made of what every file system takes.
JobName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
MethodName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9.,=+@_-]*$")]


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
    """Preprocessing, backbone, 1×1 convolution to the local features, pooling, linear layer, L2 normalisation.

    Without ``local_dim`` the backbone's features are pooled; without ``embedding_dim`` the pooled vector is embedded.
    """

    preprocessing: Literal["caffe_bgr", "keras_caffe", "torch"] | None = None
    backbone: Named
    local_dim: Positive | None = 64
    pooling: Named
    embedding_dim: Positive | None = None


class PrototypesConfig(Strict):
    """How the prototypes of a GSP pooling start; nothing else has any."""

    initializer: Literal["k_center", "random"] = "k_center"
    num_features: Positive = 1024
    warmup_steps: Annotated[int, pydantic.Field(ge=0)] = 100


class ProxiesConfig(Strict):
    """Compare batches with trainable proxies of the classes, by any pair loss."""

    per_class: Positive = 1
    lr_multiplier: Annotated[float, pydantic.Field(gt=0)] = 1.0


class MemoryConfig(Strict):
    """Compare batches with those before them, too (XBM)."""

    size_in_batches: Positive
    start_after: Annotated[int, pydantic.Field(ge=0)] = 1000


class ProjectionsConfig(Strict):
    """Alternate proxies (CCP); needs ``proxies``."""

    weight: Annotated[float, pydantic.Field(ge=0)] = 2e-4
    pool_size: Positive = 12
    selection: Literal["k_center", "random"] = "k_center"
    patience: Positive = 3


class WeightDecayConfig(Strict):
    """``coupled``: w θ is added to the gradient, as the papers do; ``decoupled``: θ shrinks beside it, as in AdamW."""

    name: Literal["coupled", "decoupled"]
    weight: Annotated[float, pydantic.Field(ge=0)]
    biases: bool = True


class TrainingConfig(Strict):
    """Budget, batches, optimizer and checkpoints."""

    steps: Positive = 600
    classes_per_batch: Annotated[int, pydantic.Field(ge=2)] = 16
    samples_per_class: Positive = 4
    optimizer: Named = Named(name="Adam", learning_rate=1e-3)
    weight_decay: WeightDecayConfig | None = None
    head_warmup_steps: Annotated[int, pydantic.Field(ge=0)] = 0
    evaluate_every: Positive = 50
    patience: Positive | None = None
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"

    @pydantic.model_validator(mode="after")
    def _whole_epochs(self):
        if self.steps % self.evaluate_every:
            raise ValueError(
                f"steps must be a multiple of evaluate_every={self.evaluate_every}; got {self.steps}"
            )
        return self


class RunConfig(Strict):
    """Everything that fixes one training but its seed."""

    data: Named
    model: ModelConfig
    loss: Named
    proxies: ProxiesConfig | None = None
    memory: MemoryConfig | None = None
    projections: ProjectionsConfig | None = None
    regularizer: Named | None = None
    prototypes: PrototypesConfig = PrototypesConfig()
    training: TrainingConfig = TrainingConfig()


class JobConfig(Strict):
    """Several runs to compare: every method with every seed, on the same data and budget."""

    name: JobName
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
    order of the axes; null in place of values leaves out an option of the base.

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
    values = _with_axes(values, source)
    top_level = {*RunConfig.model_fields, *JobConfig.model_fields}
    for key in values:
        if key not in top_level:
            raise UserError(f"{source}: {_unknown([str(key)], top_level, '')}")
    methods = values.get("methods")
    if not isinstance(methods, dict) or not methods:
        raise UserError(f"{source}: methods must map at least one method's name to its values; got {methods!r}")
    for name in only or ():
        if name not in methods:
            near = difflib.get_close_matches(name, methods, 1, cutoff=0.0)[0]
            raise UserError(f"{source}: --method must be of {', '.join(methods)}; got {name!r}; nearest: {near}")
    methods = {name: own for name, own in methods.items() if not only or name in only}
    shared = {key: value for key, value in values.items() if key in RunConfig.model_fields}
    runs = {}
    for name, own in methods.items():
        if not isinstance(own, dict):
            raise UserError(f"{source}: methods.{name} must be a mapping; got {own!r}")
        runs[name] = _validate(RunConfig, merge(shared, own), source, f"methods.{name}.", own)
    return _validate(JobConfig, {**{k: v for k, v in values.items() if k not in shared}, "methods": runs}, source)


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


def parse_run(values, source):
    """Check the values of one run; ``source`` is for messages."""
    return _validate(RunConfig, values, source)


def as_plain(config):
    """A config as nested plain values, for YAML and JSON."""
    return config.model_dump(mode="json")


def _validate(model, values, source, prefix="", own=None):
    """Check values; ``prefix`` is put before a key in messages where ``own`` holds it, or lacks what must be there."""
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] != "missing" and own is not None and not _holds(own, place):
        prefix = ""
    if first["type"] == "extra_forbidden":
        raise UserError(f"{source}: {_unknown(place, _keys_at(model, place[:-1]), prefix)}")
    key = prefix + ".".join(place)
    if first["type"] == "missing":
        raise UserError(f"{source}: {key} is missing: add it")
    if first["type"] == "value_error":
        raise UserError(f"{source}: {key}: {first['ctx']['error']}")
    raise UserError(f"{source}: {key}: {first['msg']}; got {_shown(first['input'])}")


def _unknown(place, valid, prefix):
    *parents, key = place
    near = difflib.get_close_matches(key, sorted(valid), 1, cutoff=0.0)[0]
    return f"{prefix}{'.'.join(place)} is not a key; the nearest valid key is {prefix}{'.'.join([*parents, near])}"


def _keys_at(model, place):
    for part in place:
        annotation: Any = model.model_fields[part].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next(option for option in options if isinstance(option, type) and issubclass(option, Strict))
    return list(model.model_fields)


def _holds(values, place):
    for part in place:
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def _shown(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
