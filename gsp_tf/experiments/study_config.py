"""The typed config of a hyper-parameter study."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from gsp_tf.errors import UserError
from gsp_tf.experiments.study_checks import check_study
from gsp_tf.protocols import PROTOCOLS
from gsp_tf.training.config import Positive, Strict, validate
from gsp_tf.training.config_file import override, read_config
from gsp_tf.training.job_config import JobName, MethodName, Seed, load_job

# Overrides of the study itself begin with this; all others are the job's.
STUDY_PREFIX = "study."


class ParameterConfig(Strict):
    """What a study varies: ``key`` takes each of ``values``, or any number from ``low`` to ``high``.

    ``values`` may map names to what they set, ``{name: {key: value}}``, in place of a list; then there is no ``key``.
    """

    key: Any = None
    values: Any = None
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    integer: bool = False

    @property
    def keys(self):
        """The dotted keys of a run's config that take the value."""
        return [self.key] if isinstance(self.key, str) else list(self.key)

    def settings(self, value):
        """Dict from dotted keys of a run's config to what they become for one of the values."""
        return self.values[value] if isinstance(self.values, dict) else dict.fromkeys(self.keys, value)


class PublishedStudyConfig(Strict):
    """The papers' tables that name the study's trials."""

    tables: Annotated[list[str], pydantic.Field(min_length=1)]
    dataset: str


class StudyConfig(Strict):
    """Methods of a job, what is varied of them, and which settings are tried."""

    name: JobName
    config: str
    override: list[str] = []
    method: dict[MethodName, str]
    baseline: dict[MethodName, str] = {}
    design: Literal["grid", "fractional_factorial", "bayesian"]
    parameters: dict[str, ParameterConfig]
    where: list[str] = []
    picture: Literal["lines", "heat_map"] | None = None
    generators: dict[str, str] = {}
    trials: Positive | None = None
    seed: Seed = 0
    sampler: Literal["tpe", "gp"] = "tpe"
    published: PublishedStudyConfig | None = None

    @pydantic.field_validator("method", "baseline", mode="before")
    @classmethod
    def _named(cls, value):
        """A name, or a list of names, is a mapping of each to itself."""
        if isinstance(value, str):
            value = [value]
        listed = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return {name: name for name in value} if listed else value


def load_study(path, overrides=()):
    """Read a study and the job that it varies.

    Args:
        path: the YAML file. ``base`` works as in a job; null leaves out a parameter of the base. ``config`` is relative
            to the file.
        overrides: texts ``key=value``: over the study's own values for keys that begin with ``study.``, over the job's
            (and over the study's ``override``) for all others.

    Returns:
        ``(study, job)``: :class:`StudyConfig` and :class:`gsp_tf.training.job_config.JobConfig`.

    Raises:
        UserError: names the file, the key, what is allowed and what came.
    """
    values = read_config(path)
    for text in overrides:
        if text.startswith(STUDY_PREFIX):
            values = override(values, text.removeprefix(STUDY_PREFIX))
    source = str(path)
    parameters = values.get("parameters")
    if isinstance(parameters, dict):
        parameters = {name: own for name, own in parameters.items() if own is not None}
    if not isinstance(parameters, dict) or not parameters:
        raise UserError(f"{source}: parameters must map at least one name to what is varied; got {parameters!r}")
    checked = {}
    for name, own in parameters.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)):
            raise UserError(f"{source}: parameters: a name has letters, digits and _, a letter first; got {name!r}")
        if not isinstance(own, dict):
            raise UserError(f"{source}: parameters.{name} must be a mapping such as {{key: model.pooling.mu, values: "
                            f"[0.2, 0.3]}}; got {own!r}")
        checked[name] = validate(ParameterConfig, own, source, f"parameters.{name}.", own)
    study = validate(StudyConfig, {**values, "parameters": checked}, source)
    check_study(study, values, source)
    job = load_job(Path(path).parent / study.config,
                   [*study.override, *(text for text in overrides if not text.startswith(STUDY_PREFIX))])
    for key in ("method", "baseline"):
        for method in getattr(study, key).values():
            if method not in job.methods:
                near = difflib.get_close_matches(method, job.methods, 1, cutoff=0.0)[0]
                raise UserError(f"{source}: {key} must be of {', '.join(job.methods)}; got {method!r}; nearest: {near}")
    splits = {config.data.arguments.get("split") for config in job.methods.values()}
    if PROTOCOLS[job.protocol.name](job.protocol.folds).selected_on == "test" or "conventional" in splits:
        raise UserError(f"{source}: {study.config} validates on test classes, which must not choose parameters: take a "
                        "config with protocol: {name: tuning}")
    return study, job
