"""Trains the trials of a study as runs of a job."""

import filelock
import yaml

from gsp_tf.errors import UserError
from gsp_tf.experiments.trials import trial_job
from gsp_tf.protocols import PROTOCOLS, planned_runs
from gsp_tf.protocols.runner import LOCK, check_claims, execute
from gsp_tf.training.build import check_buildable
from gsp_tf.training.checkpoint import read_json, write_text
from gsp_tf.training.config import as_plain


class TrialRunner:
    """Trains trials in a study's folder.

    Args:
        study, job: of :func:`gsp_tf.experiments.study_config.load_study`.
        directory: the folder.
        strategy: of :func:`gsp_tf.training.distribution.build_strategy`.
    """

    def __init__(self, study, job, directory, strategy):
        self._study, self._job, self._directory, self._strategy = study, job, directory, strategy
        self._protocol = PROTOCOLS[job.protocol.name](job.protocol.folds)
        self._known = []

    def check(self, trials):
        """Raise :class:`UserError` for a trial that cannot be built, or whose folder is another config's."""
        runs = self._runs(trials)
        check_claims(runs)
        finished = {run.method for run in runs if (run.directory / "result.json").exists()}
        for run in {run.method: run for run in reversed(runs) if run.method not in finished}.values():
            try:
                check_buildable(run.config)
            except UserError as error:
                raise UserError(f"study {self._study.name}: {run.method}: {error}") from None

    def train(self, trials):
        """Train trials, all with one seed before the next, and wait for those that another process is training.

        Args:
            trials: list of :class:`gsp_tf.experiments.trials.Trial`.

        Returns:
            dict from a trial's name to the results of its runs, in order.
        """
        self._known += [trial for trial in trials if trial not in self._known]
        self._directory.mkdir(parents=True, exist_ok=True)
        job = trial_job(self._known, self._study, self._job)
        write_text(self._directory / "job.yaml", yaml.safe_dump(as_plain(job), sort_keys=False))
        runs = self._runs(trials)
        elsewhere = execute(runs, self._protocol, self._strategy)
        while elsewhere:
            # The lock is free when the other process has finished, or was killed: then the run goes on here.
            with filelock.FileLock(elsewhere[0].directory / LOCK):
                pass
            elsewhere = execute(elsewhere, self._protocol, self._strategy)
        results = {}
        for run in runs:
            results.setdefault(run.method, []).append(read_json(run.directory / "result.json"))
        return results

    def _runs(self, trials):
        return planned_runs(self._protocol, trial_job(trials, self._study, self._job), self._directory)
