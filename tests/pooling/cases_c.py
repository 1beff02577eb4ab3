"""The transport poolings, as what holds for every pooling takes them: (name, factory, whether it takes maps only)."""

from functools import partial

from gsp_tf.pooling.rot import ROTPooling
from gsp_tf.pooling.uot import SOLVERS, UOTPooling

CASES = [
    (f"{name} {solver}", partial(pooling, solver=solver, num_steps=2), False)
    for name, pooling in [("UOT", UOTPooling), ("ROT", ROTPooling)]
    for solver in SOLVERS
]
