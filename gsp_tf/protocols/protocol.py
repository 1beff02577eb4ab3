"""What a protocol is: which runs a method has, what chooses their checkpoints, how their results are averaged."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from gsp_tf.errors import UserError
from gsp_tf.training.config import Named, RunConfig


class Protocol(NamedTuple):
    """A pure description; nothing here trains.

    Attributes:
        name: as configs have it.
        split: the data's ``split``, or None where the data set's own parts are taken.
        partitions: number of partitions that the training classes are cut into, or None.
        folds: the partitions that validate, each in runs of its own; (None,) where there are none.
        selected_on: the part whose score chooses the checkpoint, "validation" or "test".
        measured_on: the part that results are of.
        average: "repeats", the mean over repeats; "collections", over every choice of one run a fold; "best", the
            repeat with the best P@1.
    """

    name: str
    split: str | None
    partitions: int | None
    folds: tuple
    selected_on: str
    measured_on: str
    average: str


class PlannedRun(NamedTuple):
    """One training of a protocol, the folder it lives in, and all that fixes it."""

    method: str
    fold: int | None
    repeat: int
    seed: int
    directory: Path
    config: RunConfig

    @property
    def title(self):
        """What tells this run from the others, for people."""
        fold = f"seed {self.seed}" if self.fold is None else f"fold {self.fold} repeat {self.repeat}"
        return f"{self.method} {fold}"


def planned_runs(protocol, job, directory):
    """The runs of a job under a protocol.

    Repeats are the outer loop, then folds, so that an unfinished job has compared like with like.

    Args:
        protocol: :class:`Protocol`.
        job: :class:`gsp_tf.training.job_config.JobConfig`; its seeds are the repeats.
        directory: of the job.

    Returns:
        list of :class:`PlannedRun`.

    Raises:
        UserError: for data whose validation part the config fixes itself, where the protocol cuts it.
    """
    return [
        PlannedRun(method, fold, repeat, _run_seed(seed, fold), run_directory(directory, method, seed, fold, repeat),
                   _of_fold(protocol, config, fold))
        for repeat, seed in enumerate(job.seeds) for fold in protocol.folds for method, config in job.methods.items()
    ]


def run_directory(directory, method, seed, fold=None, repeat=0):
    """``<directory>/<method>/seed_<n>`` or ``…/fold_<f>_repeat_<r>``; a method's name is fit for a folder."""
    return Path(directory) / method / (f"seed_{seed}" if fold is None else f"fold_{fold}_repeat_{repeat}")


def _run_seed(seed, fold):
    """The models of a collection start from different weights, as their repeats do."""
    return seed if fold is None else int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def _of_fold(protocol, config, fold):
    if protocol.split is None:
        return config
    arguments = config.data.arguments
    if arguments.get("validation") is not None:
        raise UserError(
            f"data.validation fixes the classes that validate, and protocol.name: {protocol.name} chooses them: remove "
            "one of the two"
        )
    arguments = {**arguments, "split": protocol.split}
    if fold is not None:
        arguments |= {"fold": fold, "folds": protocol.partitions}
    return config.model_copy(update={"data": Named(name=config.data.name, **arguments)})
