"""``python train.py``: one config → one folder with runs, table and pictures."""

import argparse
import shutil
import sys
from pathlib import Path

import tensorflow as tf
import yaml
from tensorflow import keras

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.errors import UserError
from gsp_tf.protocols.comparison import comparison_runs
from gsp_tf.report.comparison import write_report
from gsp_tf.training.build import check_buildable
from gsp_tf.training.checkpoint import write_text
from gsp_tf.training.config import as_plain, load_job
from gsp_tf.training.distribution import STRATEGIES, build_strategy, is_chief
from gsp_tf.training.run import claim, train_run

DEFAULT_CONFIG = "configs/digits_mixture/default.yaml"


def parser():
    """The command's arguments."""
    return add_job_arguments(argparse.ArgumentParser(
        prog="train.py",
        description="Train and compare the methods of a config; go on where an earlier start was stopped.",
        epilog="example: python train.py --override training.steps=300 --seed 1 --out runs/short",
    ), DEFAULT_CONFIG)


def add_job_arguments(made, default_config):
    """Add to a parser what every command that trains a job takes, and return it."""
    made.add_argument("--config", default=default_config, help="YAML file (default: %(default)s)")
    made.add_argument("--override", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                      help="values in place of the config's, such as training.steps=300")
    made.add_argument("--method", nargs="+", metavar="NAME", help="train only these methods of the config")
    made.add_argument("--seed", type=int, help="train with this seed in place of the config's seeds")
    made.add_argument("--out", type=Path, help="folder to write (default: runs/<name of the config>)")
    made.add_argument("--strategy", choices=STRATEGIES, default="one_device",
                      help="how the work is spread over devices (default: %(default)s)")
    made.add_argument("--overwrite", action="store_true", help="delete what the folder holds and train anew")
    return made


def train(arguments):
    """Do what the parsed arguments say."""
    _, directory, chief = run_job(arguments)
    if chief:
        table, paths = write_report(directory)
        print(f"\n{table}\n")
        for path in paths:
            print(f"wrote {path}")
        print(f"next: python evaluate.py {directory} --export {directory / 'saved_model'}")


def run_job(arguments, check=None):
    """Train every run of the job that the arguments name.

    Args:
        arguments: parsed, see :func:`add_job_arguments`.
        check: function that raises for a job that the caller cannot use, or None.

    Returns:
        ``(job, its folder, whether this process writes files)``.
    """
    seeds = None if arguments.seed is None else [arguments.seed]
    job = load_job(arguments.config, arguments.override, seeds, arguments.method)
    if check is not None:
        check(job)
    # A strategy must exist before any other TensorFlow work of the process.
    strategy = build_strategy(arguments.strategy)
    tf.config.experimental.enable_op_determinism()
    for method, config in job.methods.items():
        try:
            check_buildable(config)
        except UserError as error:
            raise UserError(f"{arguments.config}: method {method}: {error}") from None
    directory = arguments.out or Path("runs") / job.name
    chief = is_chief(strategy)
    if arguments.overwrite and chief and directory.exists():
        _clear(directory)
    runs = comparison_runs(job, directory)
    # A folder of another config must stop the job now, not after its first hours.
    for run in runs:
        if (run.directory / "config.yaml").exists():
            claim(run.directory, job.methods[run.method], run.seed, write=False)
    if chief:
        directory.mkdir(parents=True, exist_ok=True)
        write_text(directory / "job.yaml", yaml.safe_dump(as_plain(job), sort_keys=False))
    for run in runs:
        if (run.directory / "result.json").exists():
            print(f"{run.method} seed {run.seed}: finished earlier")
        train_run(job.methods[run.method], run.method, run.seed, run.directory, strategy, show_progress=chief)
        keras.backend.clear_session()
    return job, directory, chief


def _clear(directory):
    if any(directory.iterdir()) and not (directory / "job.yaml").exists():
        raise UserError(f"--overwrite: {directory} is not a folder of train.py; give another --out")
    shutil.rmtree(directory)


def main(argv=None):
    """Entry point; returns the exit status."""
    return exit_status(train, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
