import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.ensemble_pooling import EnsemblePooling
from gsp_tf.pooling.netvlad import NetVLADPooling
from gsp_tf.pooling.otp import OTPPooling
from tests.pooling.random_weights import array


@pytest.mark.parametrize("pooling", [OTPPooling, NetVLADPooling])
class TestWidth:
    @pytest.mark.parametrize(("num_prototypes", "width", "size"), [(8, 16, 128), (64, 128, 8192), (5, None, 20)])
    def test_the_size_is_prototypes_times_width(self, pooling, num_prototypes, width, size):
        layer = pooling(num_prototypes, width)
        assert layer(tf.zeros((2, 3, 4))).shape == (2, size)
        assert layer.compute_output_shape((None, None, None, 4)) == (None, size)

    def test_is_a_linear_map_before_the_pooling(self, pooling, rng):
        features = rng.normal(size=(2, 9, 4))
        layer, inner = pooling(5, 3, dtype="float64"), pooling(5, dtype="float64")
        pooled = layer(features)
        inner.build((None, 9, 3))
        others = [array(variable) for variable in layer.weights if "projection" not in variable.name]
        inner.set_weights(others)
        np.testing.assert_allclose(inner(features @ array(layer.projection)), pooled, rtol=0, atol=1e-13)


def test_a_subclass_must_say_what_it_does():
    with pytest.raises(NotImplementedError, match="EnsemblePooling must define build_prototypes"):
        EnsemblePooling(4).build((None, 9, 3))
    with pytest.raises(NotImplementedError, match="EnsemblePooling must define aggregate"):
        EnsemblePooling(4).aggregate(tf.zeros((2, 9, 3)), None)
