"""What pretrained networks expect of their images."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_choice

# Whether channels turn to blue, green, red; the largest value; what is taken off and divided by, in the turned order.
KINDS = {
    "none": (False, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "caffe_bgr": (True, 255.0, (104.0, 117.0, 128.0), (1.0, 1.0, 1.0)),
    "keras_caffe": (True, 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torch": (False, 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@keras.utils.register_keras_serializable("gsp_tf")
class Preprocessing(keras.layers.Layer):
    """Turn RGB images in [0, 1] into what a pretrained network was trained on, (scale·x − mean)/deviation.

    ==============  ========  ========  ============================  =========================  ======================
    kind            channels  scale     mean                          deviation                  for
    ==============  ========  ========  ============================  =========================  ======================
    "none"          as given  1         0                             1                          networks from scratch
    "caffe_bgr"     BGR       255       104, 117, 128                 1                          ``bn_inception``
    "keras_caffe"   BGR       255       103.939, 116.779, 123.68      1                          ``resnet50``, "keras"
    "torch"         RGB       1         0.485, 0.456, 0.406           0.229, 0.224, 0.225        ``resnet50``, "torch"
    ==============  ========  ========  ============================  =========================  ======================

    Computed in float32 under a half-precision policy and rounded once.

    Args:
        kind: one of the table.
        **kwargs: of ``keras.layers.Layer``.

    Raises:
        ValueError: for another kind, or images without three channels, which only "none" takes.

    >>> Preprocessing("caffe_bgr")(tf.constant([[[[1.0, 0.0, 0.0]]]])).numpy().tolist()
    [[[[-104.0, -117.0, 127.0]]]]
    """

    def __init__(self, kind, **kwargs):
        # Images would be rounded to half precision before they are scaled.
        super().__init__(autocast=False, **kwargs)
        self.kind = check_choice("kind", kind, tuple(KINDS))

    def call(self, images):
        dtype = tf.as_dtype(self.compute_dtype)
        if self.kind == "none":
            return tf.cast(images, dtype)
        if images.shape[-1] != 3:
            raise ValueError(f"images must have three channels for {self.kind!r}; got shape {tuple(images.shape)}")
        turned, scale, mean, deviation = KINDS[self.kind]
        working = tf.float64 if dtype == tf.float64 else tf.float32
        images = tf.cast(images, working)
        if turned:
            images = images[..., ::-1]
        images = (images * scale - tf.constant(mean, working)) / tf.constant(deviation, working)
        return tf.cast(images, dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def preprocess(images, kind):
    """Apply :class:`Preprocessing` of a kind to RGB images in [0, 1].

    >>> tuple(preprocess(keras.Input((224, 224, 3)), "torch").shape[1:])
    (224, 224, 3)
    """
    return Preprocessing(kind)(images)
