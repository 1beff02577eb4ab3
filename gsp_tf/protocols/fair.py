"""The fair protocol: cross-validated early stopping, ensembles of the folds."""

from gsp_tf.protocols.protocol import Protocol


def fair(folds=None):
    """One model for each of ``folds`` partitions of the training classes (4 by default), each trained several times.

    A model validates on its partition, which chooses its checkpoint, and trains on the others. Every choice of one
    model a fold is a *collection*: with K repeats there are K^folds, 81 of 3 repeats and 4 folds. A collection has two
    results: the mean of its models' own, and that of their concatenated embeddings. Both are reported with mean and
    standard deviation over the collections.

    >>> fair().folds, fair().selected_on, fair().average
    ((0, 1, 2, 3), 'validation', 'collections')

    Source: K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020, section 3; collections as
    in section 5.1 of the GSP paper.
    """
    folds = 4 if folds is None else folds
    return Protocol("fair", "fair", folds, tuple(range(folds)), "validation", "test", "collections")
