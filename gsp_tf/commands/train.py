"""``python train.py``: one config → one folder with runs, table and pictures."""

import argparse
import shutil
import sys
from pathlib import Path

import tensorflow as tf
import yaml

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.errors import UserError
from gsp_tf.protocols import PROTOCOLS, planned_runs
from gsp_tf.protocols.runner import check_claims, check_unlocked, execute
from gsp_tf.report.comparison import write_report
from gsp_tf.training.build import check_buildable
from gsp_tf.training.checkpoint import write_text
from gsp_tf.training.config import as_plain
from gsp_tf.training.distribution import STRATEGIES, build_strategy, is_chief
from gsp_tf.training.job_config import load_job

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
    made.add_argument("--only", metavar="fold=F,repeat=R",
                      help="train only these of the protocol's runs, such as one of a cluster's array job")
    made.add_argument("--seed", type=int, help="train with this seed in place of the config's seeds")
    made.add_argument("--out", type=Path, help="folder to write (default: runs/<name of the config>)")
    made.add_argument("--strategy", choices=STRATEGIES, default="one_device",
                      help="how the work is spread over devices (default: %(default)s)")
    made.add_argument("--overwrite", action="store_true", help="delete what the folder holds and train anew")
    return made


def train(arguments):
    """Do what the parsed arguments say."""
    job, directory, chief = run_job(arguments)
    if not chief:
        return
    runs = planned_runs(_protocol(job), job, directory)
    finished = sum((run.directory / "result.json").exists() for run in runs)
    if finished < len(runs):
        print(f"\n{finished} of {len(runs)} runs are finished; the last one's end brings the table")
        return
    table, paths = write_report(directory, show_progress=sys.stderr.isatty())
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
    directory = arguments.out or Path("runs") / job.name
    protocol = _protocol(job)
    runs = planned_runs(protocol, job, directory)
    chosen = _only(runs, arguments.only)
    # A strategy must exist before any other TensorFlow work of the process.
    strategy = build_strategy(arguments.strategy)
    tf.config.experimental.enable_op_determinism()
    for run in {run.method: run for run in reversed(chosen)}.values():
        try:
            check_buildable(run.config)
        except UserError as error:
            raise UserError(f"{arguments.config}: method {run.method}: {error}") from None
    chief = is_chief(strategy)
    if arguments.overwrite and chief and directory.exists():
        _clear(directory)
    check_claims(chosen)
    if chief:
        directory.mkdir(parents=True, exist_ok=True)
        write_text(directory / "job.yaml", yaml.safe_dump(as_plain(job), sort_keys=False))
    execute(chosen, protocol, strategy)
    return job, directory, chief


def _protocol(job):
    return PROTOCOLS[job.protocol.name](job.protocol.folds)


def _only(runs, text):
    """The runs that ``--only`` names, or all."""
    if text is None:
        return runs
    wanted = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in ("fold", "repeat") or not value.isdecimal():
            raise UserError(f"--only takes fold=F, repeat=R or both, whole numbers from 0; got {text!r}")
        wanted[key] = int(value)
    chosen = [run for run in runs if all(getattr(run, key) == value for key, value in wanted.items())]
    if not chosen:
        ranges = {key: sorted({getattr(run, key) for run in runs} - {None}) for key in wanted}
        raise UserError(
            f"--only {text} names no run: "
            + "; ".join(f"{key} is one of {', '.join(map(str, values))}" if values else f"this protocol has no {key}"
                        for key, values in ranges.items())
        )
    return chosen


def _clear(directory):
    if any(directory.iterdir()) and not (directory / "job.yaml").exists():
        raise UserError(f"--overwrite: {directory} is not a folder of train.py; give another --out")
    check_unlocked(directory)
    shutil.rmtree(directory)


def main(argv=None):
    """Entry point; returns the exit status."""
    return exit_status(train, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
