import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.pooling.netvlad import NetVLADPooling
from tests.pooling.random_weights import array, finite_everywhere, randomized
from tests.reference.netvlad import netvlad_sample

MASK = np.array([[1] * 8, [0, 1, 1, 0, 1, 0, 0, 1], [0] * 8], bool)


def parts(layer):
    return [array(weight) for weight in (layer.centers, layer.assignment, layer.bias)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("width", [None, 3])
def test_equals_loops(width, masked, rng):
    features, mask = rng.normal(size=(3, 8, 4)), MASK if masked else None
    layer = randomized(NetVLADPooling(5, width, dtype="float64"), (None, 8, 4), rng)
    pooled = layer(features, mask=mask)
    assert pooled.shape == (3, 5 * (width or 4))
    projection = None if width is None else array(layer.projection)
    for b in range(3):
        expected = netvlad_sample(features[b], *parts(layer), projection, None if mask is None else mask[b])
        np.testing.assert_allclose(pooled[b], expected, rtol=0, atol=1e-9)


class TestLimits:
    def test_one_prototype_gives_the_normalised_sum_of_residuals(self, rng):
        features = rng.normal(size=(3, 8, 4))
        layer = randomized(NetVLADPooling(1, dtype="float64"), (None, 8, 4), rng)
        residuals = np.sum(features - array(layer.centers)[0], axis=1)
        expected = residuals / np.linalg.norm(residuals, axis=1, keepdims=True)
        np.testing.assert_allclose(layer(features), expected, rtol=0, atol=1e-12)

    def test_a_hard_assignment_sums_the_residuals_of_every_cluster(self, rng):
        features = rng.normal(size=(30, 4))
        layer = NetVLADPooling(3, dtype="float64")
        layer.initialize(features, alpha=1e5)
        centers = array(layer.centers)
        sample = rng.normal(size=(9, 4))
        nearest = np.argmin(np.linalg.norm(sample[:, np.newaxis] - centers, axis=2), axis=1)
        assert len(set(nearest)) == 3
        sums = np.stack([np.sum(sample[nearest == k] - centers[k], axis=0) for k in range(3)])
        expected = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        np.testing.assert_allclose(layer(sample[np.newaxis])[0], expected.ravel(), rtol=0, atol=1e-9)

    def test_blocks_have_length_one(self, rng):
        blocks = tf.reshape(NetVLADPooling(5)(rng.normal(size=(2, 7, 7, 4))), (2, 5, 4))
        np.testing.assert_allclose(tf.norm(blocks, axis=2), np.ones((2, 5)), rtol=1e-6)

    def test_features_on_their_centre_have_no_direction(self, rng):
        feature = rng.normal(size=4)
        layer = NetVLADPooling(1)
        layer.build((None, None, 4))
        layer.centers.assign(feature[np.newaxis].astype(np.float32))
        inputs = tf.constant(np.tile(feature, (1, 49, 1)), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            pooled = layer(inputs)
        assert not np.any(pooled) and not np.any(tape.gradient(pooled, inputs))


class TestInitialize:
    def test_the_assignment_is_a_softmax_of_distances(self, rng):
        features = rng.normal(size=(60, 4))
        layer = NetVLADPooling(5, dtype="float64")
        layer.initialize(features, alpha=0.7)
        centers, assignment, bias = parts(layer)
        squared = np.sum(np.square(features[:, np.newaxis] - centers), axis=2)
        scores = features @ assignment.T + bias
        difference = scores + 0.7 * squared
        np.testing.assert_allclose(difference, np.broadcast_to(difference[:, :1], (60, 5)), rtol=0, atol=1e-9)
        # Every centre is the mean of the features that it is nearest to: k-means came to its end.
        nearest = np.argmin(squared, axis=1)
        for k in range(5):
            np.testing.assert_allclose(centers[k], features[nearest == k].mean(axis=0), atol=1e-9)

    def test_the_default_is_as_sharp_as_the_paper_says(self, rng):
        features = rng.normal(size=(60, 4))
        layer = NetVLADPooling(5, dtype="float64")
        layer.initialize(features)
        _, assignment, bias = parts(layer)
        scores = np.sort(features @ assignment.T + bias, axis=1)
        np.testing.assert_allclose(np.mean(scores[:, -1] - scores[:, -2]), np.log(100), rtol=1e-9)

    def test_is_reproducible_by_its_seed(self, rng):
        features = rng.normal(size=(200, 2))
        centers = []
        for seed in (0, 0, 1):
            layer = NetVLADPooling(20)
            layer.initialize(features, seed=seed)
            centers.append(array(layer.centers))
        np.testing.assert_array_equal(centers[0], centers[1])
        assert np.any(centers[0] != centers[2])

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_of_width_clusters_projected_features(self, data_format, rng):
        features = rng.normal(size=(60, 4)).astype(np.float32)
        layer = NetVLADPooling(5, width=2, data_format=data_format)
        layer.initialize(features)
        projected = features @ array(layer.projection)
        centers = array(layer.centers)
        nearest = np.argmin(np.linalg.norm(projected[:, np.newaxis] - centers, axis=2), axis=1)
        for k in range(5):
            np.testing.assert_allclose(centers[k], projected[nearest == k].mean(axis=0), atol=1e-5)

    @pytest.mark.filterwarnings("ignore:Number of distinct clusters")
    @pytest.mark.parametrize(("prototypes", "features"), [(1, np.eye(4)), (3, np.ones((6, 4)))])
    def test_without_a_second_centre(self, prototypes, features):
        layer = NetVLADPooling(prototypes)
        layer.initialize(features)
        assert all(np.all(np.isfinite(part)) for part in parts(layer))
        assert finite_everywhere(layer, features[np.newaxis])

    def test_errors(self, rng):
        layer = NetVLADPooling(5)
        for shape in [(4, 3), (2, 7, 3)]:
            with pytest.raises(ValueError, match=r"features must have shape \(N, d\) with N of at least num_prototypes=5"):
                layer.initialize(np.zeros(shape))
        with pytest.raises(ValueError, match=r"alpha must be a number in \(0, inf\); got 0"):
            layer.initialize(rng.normal(size=(9, 3)), alpha=0)


@pytest.mark.parametrize("alpha", [1.0, 1e4])
def test_degenerate_features_give_finite_gradients(alpha, rng):
    features = rng.normal(size=(2, 6, 4))
    layer = NetVLADPooling(3)
    for inputs in (features, 1e4 * features, np.zeros((2, 6, 4)), np.repeat(features[:, :1], 6, axis=1)):
        layer.initialize(features.reshape(-1, 4).astype(np.float32), alpha)
        assert finite_everywhere(layer, inputs)
        # Every centre on a feature, and residuals that only just differ from 0.
        layer.centers.assign(inputs[0, :3].astype(np.float32))
        for noise in (0, 1e-6, 1e-13):
            assert finite_everywhere(layer, inputs + noise * rng.normal(size=inputs.shape))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_prototypes": 0}, "num_prototypes must be a whole number of at least 1; got 0"),
        ({"width": 0}, "width must be a whole number of at least 1; got 0"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        NetVLADPooling(**{"num_prototypes": 4, **kwargs})
