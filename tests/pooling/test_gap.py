import numpy as np
import pytest

import gsp_tf
from tests.reference.poolings import gap_sample


@pytest.mark.parametrize("masked", [False, True])
def test_equals_loops(masked, rng):
    features = rng.normal(size=(3, 8, 4)) - 1
    mask = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool) if masked else None
    pooled = gsp_tf.GAPPooling(dtype="float64")(features, mask=mask)
    for b in range(3):
        expected = gap_sample(features[b], None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=1e-13)
