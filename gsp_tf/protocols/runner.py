"""One runner for every protocol: what is finished is skipped, what was killed goes on, nothing is trained twice."""

import contextlib
import statistics

import filelock
from tensorflow import keras

from gsp_tf.errors import UserError
from gsp_tf.training.checkpoint import read_json
from gsp_tf.training.distribution import is_chief
from gsp_tf.training.run import claim, train_run

LOCK = ".lock"


def execute(runs, protocol, strategy):
    """Train planned runs one after the other.

    Several processes may execute the same runs, on one machine or over a shared file system: each run is trained by
    the first that locks its folder, and a process that is killed leaves no lock behind.

    Args:
        runs: list of :class:`gsp_tf.protocols.PlannedRun`.
        protocol: :class:`gsp_tf.protocols.Protocol`.
        strategy: of :func:`gsp_tf.training.distribution.build_strategy`.

    Returns:
        list of the runs that another process is training.

    Raises:
        UserError: see :func:`gsp_tf.training.run.train_run`; several workers of one strategy also for a locked run,
            which they could not leave out in agreement.
    """
    chief = is_chief(strategy)
    elsewhere = []
    for number, run in enumerate(runs, start=1):
        if chief:
            run.directory.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            if chief and not (run.directory / "result.json").exists():
                try:
                    stack.enter_context(filelock.FileLock(run.directory / LOCK, timeout=0))
                except filelock.Timeout:
                    if strategy.cluster_resolver is not None and strategy.cluster_resolver.task_type:
                        raise UserError(
                            f"{run.directory} is being trained by another process: wait for it, or give another --out"
                        ) from None
                    print(f"run {number} of {len(runs)}: {run.title}: another process is training it")
                    elsewhere.append(run)
                    continue
            if chief:
                print(f"run {number} of {len(runs)}: {run.title}{_state(run, runs[number - 1:], runs)}", flush=True)
            described = {"method": run.method, "protocol": protocol.name, "fold": run.fold, "repeat": run.repeat}
            train_run(run.config, run.seed, run.directory, strategy, described, protocol.measured_on,
                      run.title if chief else None)
        keras.backend.clear_session()
    return elsewhere


def check_claims(runs):
    """Raise :class:`UserError` for the folder of another config now, not after the first hours."""
    for run in runs:
        if (run.directory / "config.yaml").exists():
            claim(run.directory, run.config, run.seed, write=False)


def check_unlocked(directory):
    """Raise :class:`UserError` if another process is training a run below a folder."""
    for path in directory.rglob(LOCK):
        try:
            with filelock.FileLock(path, timeout=0):
                pass
        except filelock.Timeout:
            raise UserError(f"{path.parent} is being trained by another process: stop it first") from None


def _state(run, coming, runs):
    """What is known before a run begins: that it is finished, or how long all that is to come may take."""
    if (run.directory / "result.json").exists():
        return ": finished earlier"
    seconds = [read_json(path)["seconds"] for path in (other.directory / "result.json" for other in runs)
               if path.exists()]
    if not seconds:
        return ""
    unfinished = sum(not (other.directory / "result.json").exists() for other in coming)
    return f"; about {duration(unfinished * statistics.fmean(seconds))} left for all"


def duration(seconds):
    """A time for people.

    >>> duration(42), duration(600), duration(30000)
    ('42 s', '10 min', '8 h 20 min')
    """
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
