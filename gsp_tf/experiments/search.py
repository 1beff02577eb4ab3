"""Hyper-parameter studies: grids, two-level screenings and Bayesian searches over a job's methods.

    python -m gsp_tf.experiments.search configs/digits_mixture/studies/mu.yaml

Every trial is a method of a job, ``C2@mu=0.3,epsilon=5``, with the seeds and the protocol of the study's config, and a
folder that ``evaluate.py`` reads. Beside these there are ``study.yaml``, ``study.md`` and ``study.png``. A second start
repeats nothing that is finished; several at once share the work, and each ends with all of it.
"""

import argparse
import shutil
import sys
from pathlib import Path

import tensorflow as tf
import yaml

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.errors import UserError
from gsp_tf.experiments.bayesian import BayesianSearch
from gsp_tf.experiments.study_config import load_study
from gsp_tf.experiments.study_report import write_study_report
from gsp_tf.experiments.trial_runner import TrialRunner
from gsp_tf.experiments.trials import Trial, baselines, designed_trials, mean_validation
from gsp_tf.protocols.runner import check_unlocked
from gsp_tf.training.checkpoint import write_text
from gsp_tf.training.distribution import build_strategy


def parser():
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m gsp_tf.experiments.search",
        description="Train the trials of a hyper-parameter study; go on where an earlier start was stopped.",
        epilog="example: python -m gsp_tf.experiments.search STUDY.yaml --override seeds=[0] study.trials=10",
    )
    made.add_argument("study", type=Path, help="the study's YAML file")
    made.add_argument("--override", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                      help="values in place of the job's, such as training.steps=300, or of the study's, such as "
                           "study.trials=10")
    made.add_argument("--out", type=Path, help="folder to write (default: runs/<name of the study>)")
    made.add_argument("--plot", action="store_true", help="train nothing; draw what is finished")
    made.add_argument("--paper", action="store_true", help="show the paper's own figures beside the trials")
    made.add_argument("--strategy", choices=("one_device", "mirrored"), default="one_device",
                      help="how the work is spread over devices (default: %(default)s)")
    made.add_argument("--overwrite", action="store_true", help="delete what the folder holds and train anew")
    return made


def search(arguments):
    """Do what the parsed arguments say."""
    study, job = load_study(arguments.study, arguments.override)
    if arguments.plot and arguments.overwrite:
        raise UserError("--plot draws what --overwrite would delete: give one of them")
    if arguments.paper and study.published is None:
        raise UserError(f"--paper: {arguments.study} names no published table of its trials: leave the option out")
    directory = arguments.out or Path("runs") / study.name
    if not arguments.plot:
        _train(study, job, directory, arguments)
    text, paths = write_study_report(study, job, directory, arguments.paper)
    print(f"\n{text}\n")
    for path in paths:
        print(f"wrote {path}")


def _train(study, job, directory, arguments):
    strategy = build_strategy(arguments.strategy)
    tf.config.experimental.enable_op_determinism()
    if arguments.overwrite and directory.exists():
        _clear(directory)
    runner = TrialRunner(study, job, directory, strategy)
    if study.design == "bayesian":
        _search(study, runner, directory)
        return
    trials = designed_trials(study)
    runner.check(trials)
    _write_study(study, directory)
    runner.train(trials)


def _search(study, runner, directory):
    """Ask, train, tell; finished trials are told at once, so a killed search goes through the same sequence."""
    searches = {label: BayesianSearch(study.parameters, study.seed, study.sampler) for label in study.method}
    ends = [{name: getattr(parameter, end) for name, parameter in study.parameters.items()} for end in ("low", "high")]
    runner.check(baselines(study) + [Trial(label, values) for label in study.method for values in ends])
    _write_study(study, directory)
    if study.baseline:
        runner.train(baselines(study))
    for number in range(1, study.trials + 1):
        trials = [Trial(label, found.ask()) for label, found in searches.items()]
        print(f"trial {number} of {study.trials}: {' '.join(trial.name for trial in trials)}", flush=True)
        runner.check(trials)
        results = runner.train(trials)
        for trial in trials:
            searches[trial.label].tell(mean_validation(results[trial.name]))


def _write_study(study, directory):
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "study.yaml", yaml.safe_dump(study.model_dump(exclude_defaults=True), sort_keys=False))


def _clear(directory):
    if any(directory.iterdir()) and not (directory / "study.yaml").exists():
        raise UserError(f"--overwrite: {directory} is not the folder of a study; give another --out")
    check_unlocked(directory)
    shutil.rmtree(directory)


def main(argv=None):
    """Entry point; returns the exit status."""
    return exit_status(search, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
