"""Bayesian search: each setting is chosen by the scores of those before it."""

import importlib.util
import warnings

from gsp_tf.errors import UserError


class BayesianSearch:
    """Settings to try, one after the other, by Optuna; higher scores are better.

    The sequence is fixed by the ranges, the seed, the scores that were told and Optuna's version. So a search that was
    killed goes on when it is started anew and told what was already measured.

    Args:
        parameters: dict from name to :class:`gsp_tf.experiments.study_config.ParameterConfig` with a range.
        seed: of the sampler.
        sampler: "tpe", the tree-structured Parzen estimator, or "gp", Gaussian processes, which need torch.

    Raises:
        UserError: if Optuna, or torch for "gp", is not installed.

    Source: J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.
    """

    def __init__(self, parameters, seed, sampler="tpe"):
        try:
            import optuna
        except ImportError:
            raise UserError('design: bayesian needs Optuna: pip install "gsp_tf[search]"') from None
        if sampler == "gp" and importlib.util.find_spec("torch") is None:
            raise UserError('sampler: gp needs torch: pip install "gsp_tf[search,torch]", or take sampler: tpe')
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            # Optuna 3 calls "gp" an experiment.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}[sampler](seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=made)
        self._parameters = parameters
        self._trial = None

    def ask(self):
        """The next setting, a dict from parameter to value; numbers have four digits, as the names of trials."""
        self._trial = self._study.ask()
        return {name: self._suggested(name, parameter) for name, parameter in self._parameters.items()}

    def tell(self, score):
        """The score of the setting that was asked for last."""
        self._study.tell(self._trial, score)

    def _suggested(self, name, parameter):
        if parameter.integer:
            return self._trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        value = self._trial.suggest_float(name, float(parameter.low), float(parameter.high), log=parameter.log)
        return float(f"{value:.4g}")
