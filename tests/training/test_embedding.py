import numpy as np
import pytest
from tensorflow import keras

from gsp_tf.training.embedding import embed


def embedder(several):
    images = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(images)
    double = keras.layers.Lambda(lambda x: 2 * x)(flat)
    return keras.Model(images, {"embedding": flat, "double": double} if several else flat)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("several", [True, False])
def test_every_image_once_and_in_order(rng, several, batch_size):
    images = rng.uniform(size=(7, 4, 4, 1)).astype(np.float32)
    outputs = embed(embedder(several), images, batch_size)
    np.testing.assert_array_equal(outputs["embedding"], images.reshape(7, 16))
    assert set(outputs) == ({"embedding", "double"} if several else {"embedding"})


def test_it_runs_in_inference_mode():
    images = keras.Input((4, 4, 1))
    model = keras.Model(images, keras.layers.Dropout(0.9)(keras.layers.Flatten()(images)))
    np.testing.assert_array_equal(embed(model, np.ones((3, 4, 4, 1), np.float32))["embedding"], np.ones((3, 16)))
