"""What a study's values must be beyond their types, and what is said if they are not."""

import re

from gsp_tf.errors import UserError
from gsp_tf.experiments.designs import grid, resolution

# Which keys belong to which designs.
_OWN_KEYS = {"where": "grid", "picture": "grid", "generators": "fractional_factorial", "trials": "bayesian",
             "seed": "bayesian", "sampler": "bayesian"}


def check_study(study, given, source):
    """Raise :class:`UserError` for a study that its design cannot take.

    Args:
        study: :class:`gsp_tf.experiments.study_config.StudyConfig`.
        given: the values that the file has.
        source: the file, for messages.
    """
    _check_design(study, given, source)
    for name, parameter in study.parameters.items():
        _check_parameter(study.design, parameter, f"{source}: parameters.{name}")
    if study.design == "grid":
        try:
            grid({name: list(parameter.values) for name, parameter in study.parameters.items()}, study.where)
        except ValueError as error:
            raise UserError(f"{source}: {error}") from None


def _check_design(study, given, source):
    for key, design in _OWN_KEYS.items():
        if key in given and study.design != design:
            raise UserError(f"{source}: {key} is for design: {design}; remove it; got design: {study.design}")
    if not study.method:
        raise UserError(f"{source}: method must name at least one method of {study.config}")
    if study.design == "bayesian" and study.trials is None:
        raise UserError(f"{source}: trials is missing: add how many settings are tried, such as trials: 20")
    if study.picture is not None and len(study.parameters) != 2:
        raise UserError(f"{source}: picture is for two parameters; remove it; got {len(study.parameters)}")
    if study.design == "fractional_factorial":
        words = {}
        for name, text in study.generators.items():
            factors = text.removeprefix("-").split("*")
            base = [other for other in study.parameters if other not in study.generators]
            if name not in study.parameters:
                raise UserError(f"{source}: generators must be of {', '.join(study.parameters)}; got {name!r}")
            if len(set(factors)) < len(factors) or not set(factors) <= set(base):
                raise UserError(f"{source}: generators.{name} must be a product, such as {'*'.join(base)} or "
                                f"-{'*'.join(base)}, of parameters without a generator; got {text!r}")
            words[name] = factors
        if resolution(words) < 3:
            raise UserError(f"{source}: generators: two parameters would change together in every trial, so their "
                            f"effects could not be told apart; give longer or other products; got {study.generators}")


def _check_parameter(design, parameter, place):
    """``place`` begins the messages: the file and the parameter."""
    if design == "bayesian":
        if parameter.values is not None or parameter.low is None or parameter.high is None:
            raise UserError(f"{place}: design: bayesian takes a range, such as {{low: 0.1, high: 0.9}}, and no values")
        if not 0 < parameter.high - parameter.low:
            raise UserError(f"{place}: low must be below high; got {parameter.low} and {parameter.high}")
        if parameter.log and parameter.low <= 0:
            raise UserError(f"{place}: low must be above 0 for log: true; got {parameter.low}")
        if parameter.integer and not all(isinstance(end, int) for end in (parameter.low, parameter.high)):
            raise UserError(f"{place}: low and high must be whole numbers for integer: true; got {parameter.low} and "
                            f"{parameter.high}")
    elif parameter.values is None or {"low", "high", "log", "integer"} & parameter.model_fields_set:
        raise UserError(f"{place}: design: {design} takes values, such as [0.2, 0.3], and no range")
    else:
        _check_values(design, parameter.values, place)
    if isinstance(parameter.values, dict):
        if parameter.key is not None:
            raise UserError(f"{place}: values say which keys they set, so remove key; got {parameter.key!r}")
    elif not _are_keys(parameter.key):
        raise UserError(f"{place}: key must be a dotted key of a run's config, such as model.pooling.mu, or a list of "
                        f"them; got {parameter.key!r}")


def _check_values(design, values, place):
    if not isinstance(values, list | dict) or not values:
        raise UserError(f"{place}: values must be a list, or a mapping {{name: {{key: value}}}}; got {values!r}")
    if isinstance(values, dict) and not all(isinstance(own, dict) and _are_keys(list(own)) for own in values.values()):
        raise UserError(f"{place}: values must map each name to {{key: value}} with dotted keys; got {values!r}")
    for value in values:
        if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9.+_-]+", value) or not (
                value is None or isinstance(value, str | int | float)):
            raise UserError(f"{place}: a value becomes part of a folder's name, so it is a number, true, false or a "
                            "word; for others, and for several keys, give values as {name: {key: value}}; got "
                            f"{value!r}")
    if len({shown(value) for value in values}) < len(values):
        raise UserError(f"{place}: values must be different; got {list(values)}")
    if design == "fractional_factorial" and len(values) != 2:
        raise UserError(f"{place}: a factorial design takes two values, the low and the high one; got {list(values)}")


def _are_keys(keys):
    keys = [keys] if isinstance(keys, str) else keys
    return isinstance(keys, list) and bool(keys) and all(isinstance(key, str) and all(key.split(".")) for key in keys)


def shown(value):
    """A value as it stands in the names of trials.

    >>> shown(0.3), shown(20.0), shown(2e-4), shown(True)
    ('0.3', '20', '0.0002', 'true')
    """
    if isinstance(value, float):
        return f"{value:.12g}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
