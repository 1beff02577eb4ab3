"""One small embedder in each of the ways that Keras has to write a model."""

from tensorflow import keras

import gsp_tf

PROTOTYPES = 6


def layers(**kwargs):
    """Fresh layers from (B, H, W, 3) images to (B, 5) embeddings, with state that training mode changes."""
    return [
        keras.layers.Conv2D(5, 3, name="conv"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.2, seed=1, name="dropout"),
        gsp_tf.GSPLayer(PROTOTYPES, mu=0.3, epsilon=5.0, name="pool", **kwargs),
        gsp_tf.L2Normalize(name="unit"),
    ]


def functional(size=8):
    images = keras.Input((size, size, 3))
    x = images
    for layer in layers():
        x = layer(x)
    return keras.Model(images, x)


def sequential():
    return keras.Sequential([keras.Input((8, 8, 3)), *layers()])


def sequential_without_input():
    return keras.Sequential(layers())


def nested():
    images = keras.Input((8, 8, 3))
    embeddings = functional()(images)
    return keras.Model(images, keras.layers.Dense(4, name="head")(embeddings))


@keras.utils.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """The same as a class of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stack = layers()

    def call(self, inputs, training=None):
        conv, norm, dropout, pool, unit = self.stack
        return unit(pool(dropout(norm(conv(inputs), training=training), training=training)))


KINDS = {
    "functional": functional,
    "sequential": sequential,
    "sequential_without_input": sequential_without_input,
    "nested": nested,
    "subclassed": Subclassed,
}


def gsp_layer(model):
    """The model's only GSPLayer."""
    (layer,) = [layer for layer in model._flatten_layers() if isinstance(layer, gsp_tf.GSPLayer)]
    return layer
