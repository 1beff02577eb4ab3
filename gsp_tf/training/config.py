"""The typed config of one run, and what its messages say."""

import difflib
from typing import Annotated, Any, Literal

import pydantic

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


class PlateauConfig(Strict):
    """Multiply the learning rate by ``factor`` after every ``patience`` evaluations without a better score."""

    factor: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.5
    patience: Positive = 4


class TrainingConfig(Strict):
    """Budget, batches, optimizer and checkpoints; ``monitor`` is the validation score that these go by."""

    steps: Positive = 600
    classes_per_batch: Annotated[int, pydantic.Field(ge=2)] = 16
    samples_per_class: Positive = 4
    optimizer: Named = Named(name="Adam", learning_rate=1e-3)
    weight_decay: WeightDecayConfig | None = None
    head_warmup_steps: Annotated[int, pydantic.Field(ge=0)] = 0
    evaluate_every: Positive = 50
    patience: Positive | None = None
    monitor: Literal["MAP@R", "P@1"] = "MAP@R"
    plateau: PlateauConfig | None = None
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


def parse_run(values, source):
    """Check the values of one run; ``source`` is for messages."""
    return validate(RunConfig, values, source)


def as_plain(config):
    """A config as nested plain values, for YAML and JSON."""
    return config.model_dump(mode="json")


def validate(model, values, source, prefix="", own=None):
    """Check values; ``prefix`` is put before a key in messages where ``own`` holds it, or lacks what must be there."""
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] != "missing" and own is not None and not _holds(own, place):
        prefix = ""
    if first["type"] == "extra_forbidden":
        raise UserError(f"{source}: {unknown_key(place, _keys_at(model, place[:-1]), prefix)}")
    key = prefix + ".".join(place)
    if first["type"] == "missing":
        raise UserError(f"{source}: {key} is missing: add it")
    if first["type"] == "value_error":
        raise UserError(f"{source}: {key}: {first['ctx']['error']}")
    raise UserError(f"{source}: {key}: {first['msg']}; got {_shown(first['input'])}")


def unknown_key(place, valid, prefix):
    """The sentence for a key that is none: ``place`` from the top, the ``valid`` keys beside it, what comes before."""
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
