"""A study's trials: their names, their configs, and what their finished runs score."""

from typing import NamedTuple

from gsp_tf.errors import UserError
from gsp_tf.experiments.designs import fractional_factorial, grid
from gsp_tf.experiments.study_checks import shown
from gsp_tf.protocols.results import find_results, trusted
from gsp_tf.report.study_table import TrialScore
from gsp_tf.training.config import RunConfig, as_plain, validate
from gsp_tf.training.config_file import put
from gsp_tf.training.job_config import JobConfig, PublishedConfig

ONLY_VALIDATION = "measured on validation classes, which also chose the checkpoint: to compare settings only"


class Trial(NamedTuple):
    """One setting of one method; a baseline has no values.

    >>> Trial("C2", {"mu": 0.3, "epsilon": 5.0}).name
    'C2@mu=0.3,epsilon=5'
    """

    label: str
    values: dict

    @property
    def name(self):
        """The method's name in the job that the trials make, and so the folder's."""
        values = ",".join(f"{key}={shown(value)}" for key, value in self.values.items())
        return f"{self.label}@{values or 'baseline'}"


def baselines(study):
    """The trials of the methods that nothing is varied of."""
    return [Trial(label, {}) for label in study.baseline]


def designed_trials(study):
    """All trials of a grid or a factorial design, baselines first."""
    values = {name: list(parameter.values) for name, parameter in study.parameters.items()}
    points = (grid(values, study.where) if study.design == "grid"
              else fractional_factorial(values, study.generators))
    return baselines(study) + [Trial(label, point) for point in points for label in study.method]


def trial_config(trial, study, job):
    """The :class:`RunConfig` of a trial: its method's as the job has it, with the trial's values over it."""
    methods = study.method if trial.values else study.baseline
    plain = as_plain(job.methods[methods[trial.label]])
    for name, value in trial.values.items():
        for key, setting in study.parameters[name].settings(value).items():
            plain = put(plain, key.split("."), setting, f"parameters.{name}: {key}")
    return validate(RunConfig, plain, f"study {study.name}: {trial.name}")


def trial_job(trials, study, job):
    """The job whose methods are the trials, under the study's name."""
    configs = {trial.name: trial_config(trial, study, job) for trial in trials}
    values = {"name": study.name, "protocol": job.protocol, "seeds": job.seeds, "methods": configs}
    if study.published is not None:
        values["published"] = PublishedConfig(**study.published.model_dump(), rows={name: name for name in configs})
    return validate(JobConfig, values, f"study {study.name}")


def trial_scores(study, job, directory, runs_per_trial):
    """What the finished runs below a folder say of a study's trials.

    Args:
        study, job: of :func:`gsp_tf.experiments.study_config.load_study`.
        directory: that the study was trained in.
        runs_per_trial: how many runs a finished trial has.

    Returns:
        ``(scores, notes)``: a list of :class:`TrialScore`, and sentences that belong below their table.

    Raises:
        UserError: for a folder without a finished trial of the study.
    """
    found = find_results(directory)
    kept, notes = trusted(found)
    if study.design == "bayesian":
        trials = baselines(study) + _found_trials(study, kept)
    else:
        trials = designed_trials(study)
    scores = [_score(trial, [result for _, result in kept[trial.name]]) for trial in trials if trial.name in kept]
    if not any(score.values for score in scores):
        raise UserError(f"{directory} holds no finished trial of the study {study.name}: start it without --plot")
    lacking = [trial.name for trial in trials if len(found.get(trial.name, ())) < runs_per_trial]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        notes.append(f"not finished: {' '.join(lacking[:3])}{more}")
    if ONLY_VALIDATION not in notes:
        notes.append(ONLY_VALIDATION)
    return scores, notes


def mean_validation(results):
    """The score that a search goes by: mean validation MAP@R over a trial's results."""
    return sum(result["validation"]["MAP@R"] for result in results) / len(results)


def _score(trial, results):
    validation = [result["validation"] for result in results]
    return TrialScore(trial.label, trial.values, tuple(found["MAP@R"] for found in validation),
                      tuple(found["P@1"] for found in validation),
                      sum(result["seconds"] for result in results) / len(results), trial.name)


def _found_trials(study, found):
    """A Bayesian study's trials among the methods of a folder: those whose name is what their values give."""
    trials = []
    for method, runs in found.items():
        for label in study.method:
            config = runs[0][1]["config"]
            values = {name: _get(config, parameter.keys[0]) for name, parameter in study.parameters.items()}
            if Trial(label, values).name == method:
                trials.append(Trial(label, values))
    return trials


def _get(values, key):
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
