"""Small layers for the tests of what holds for every pooling: (name, factory, whether it takes maps only)."""

from functools import partial

from gsp_tf.pooling.cbam import CBAMPooling
from gsp_tf.pooling.crow import CroWPooling
from gsp_tf.pooling.delf import DeLFPooling
from gsp_tf.pooling.gem import GeMPooling
from gsp_tf.pooling.gemax import GeMaxPooling
from gsp_tf.pooling.gsop import GSoPPooling
from gsp_tf.pooling.gsp import GSPLayer

CASES = [
    ("gem", GeMPooling, False),
    ("gem_per_channel", partial(GeMPooling, p=1.5, per_channel=True), False),
    ("gsp_gem", partial(GSPLayer, num_prototypes=3, reduce="gem"), False),
    ("gemax", GeMaxPooling, False),
    ("cbam", partial(CBAMPooling, reduction=2, kernel_size=3), True),
    ("crow", CroWPooling, False),
    ("delf", partial(DeLFPooling, hidden_dim=3), False),
    ("gsop", partial(GSoPPooling, reduced_dim=3, expansion=2), False),
]
