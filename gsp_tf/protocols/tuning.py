"""The tuning protocol: parameters are compared on training classes that were held out."""

from gsp_tf.protocols.protocol import Protocol


def tuning(folds=None):
    """Train on all partitions of the training classes but one, and report that one: the test part is never read.

    Args:
        folds: number of partitions, 5 by default, as in the paper (3 in the thesis); the first is held out.

    >>> tuning().folds, tuning().measured_on
    ((0,), 'validation')

    Source: the GSP paper's supplement, "Hyperparameter selection".
    """
    return Protocol("tuning", "tuning", 5 if folds is None else folds, (0,), "validation", "validation", "repeats")
