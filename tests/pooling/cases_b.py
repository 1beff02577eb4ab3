"""Small layers for the tests of what holds for every pooling: (name, factory, whether it takes maps only)."""

from functools import partial

from gsp_tf.pooling.netvlad import NetVLADPooling
from gsp_tf.pooling.otp import OTPPooling
from gsp_tf.pooling.smk import SMKPooling
from gsp_tf.pooling.solar import SOLARPooling
from gsp_tf.pooling.weldon import WELDONPooling

CASES = [
    ("otp", partial(OTPPooling, num_prototypes=3), False),
    ("otp_of_width", partial(OTPPooling, num_prototypes=2, width=3, epsilon=0.5, steps=20), False),
    ("solar", SOLARPooling, False),
    ("smk", SMKPooling, False),
    ("smk_smooth", partial(SMKPooling, smooth=True), True),
    ("netvlad", partial(NetVLADPooling, num_prototypes=3), False),
    ("netvlad_of_width", partial(NetVLADPooling, num_prototypes=2, width=3), False),
    ("weldon", partial(WELDONPooling, k_max=2, k_min=1), False),
    ("weldon_of_fractions", partial(WELDONPooling, k_max=0.25, k_min=0.5), False),
]
