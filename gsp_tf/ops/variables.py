"""Variables that a half-precision policy leaves alone."""

import inspect


def full_precision_weight(layer, **kwargs):
    """``layer.add_weight(**kwargs)``, read in its own dtype also where the layer computes in half precision.

    Keras hands a layer's ``call`` its variables rounded to the compute dtype: under mixed_bfloat16 a ratio of 0.999
    would be 1, which is another pooling.
    """
    name = "autocast" if "autocast" in inspect.signature(layer.add_weight).parameters else "experimental_autocast"
    return layer.add_weight(**kwargs, **{name: False})
