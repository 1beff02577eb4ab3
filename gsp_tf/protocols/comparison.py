"""Comparison of methods on the parts that a data set has: every method with every seed."""

from gsp_tf.errors import UserError
from gsp_tf.protocols.protocol import Protocol


def comparison(folds=None):
    """Every method with every seed on the same data and budget; results are averaged over seeds.

    The data's own ``split`` and ``fold`` hold; ``folds`` must be None.
    """
    if folds is not None:
        raise UserError(f"protocol.folds is for fair and tuning; remove it or name one of them; got {folds}")
    return Protocol("comparison", None, None, (None,), "validation", "test", "repeats")
