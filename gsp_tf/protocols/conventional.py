"""The conventional protocol: all training classes train, and the test classes choose the checkpoint."""

from gsp_tf.errors import UserError
from gsp_tf.protocols.protocol import Protocol


def conventional(folds=None):
    """Train on all training classes; stop, and choose weights, by P@1 on the **test** part; report the best repeat.

    Its figures are above what the method gives on classes that chose nothing, which every table says. ``folds`` must
    be None.

    >>> conventional().selected_on
    'test'

    Source: H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese, "Deep Metric Learning via Lifted Structured Feature
    Embedding", CVPR 2016; the GSP paper's supplement.
    """
    if folds is not None:
        raise UserError(f"protocol.folds is for fair and tuning: the conventional protocol has none; got {folds}")
    return Protocol("conventional", "conventional", None, (None,), "test", "test", "best")
