"""Export of an embedder for serving, without gsp_tf on the serving side."""

import tensorflow as tf

from gsp_tf.errors import UserError

SIGNATURES = ("serving_default", "encoded", "explain")


class ServedEmbedder(tf.Module):
    """An embedder as a SavedModel sees it: three signatures over one set of weights.

    ====================  ==============================================  ========================================
    signature             input                                           outputs
    ====================  ==============================================  ========================================
    ``serving_default``   ``images`` (B, H, W, C) float32 in the          ``embedding`` (B, D)
                          embedder's own range
    ``encoded``           ``images`` (B,) JPEG or PNG bytes; decoded,     ``embedding``
                          resized and scaled to [0, 1] here
    ``explain``           as ``serving_default``                          ``embedding``, ``weights`` (B, h, w) that sum
                                                                          to 1, ``histogram`` (B, m)
    ====================  ==============================================  ========================================

    Outputs are float32. An embedder without GSP has no weights to show, and so no ``explain``.

    Args:
        embedder: Keras model from images of a fixed size to a dict with ``embedding``, and with GSP ``histogram`` and
            ``weights``.

    Raises:
        ValueError: for an embedder of images of any size: encoded images need one to be resized to.
    """

    def __init__(self, embedder):
        super().__init__()
        self.embedder = embedder
        # Keras 3 models keep their variables where tf.Module does not look.
        self.model_variables = list(embedder.variables)
        height, width, channels = embedder.input.shape[1:]
        if None in (height, width, channels):
            raise ValueError(
                f"embedder must take images of one size; got input shape {tuple(embedder.input.shape)}: give its "
                "keras.Input the height and width to serve"
            )
        self.size, self.channels = (height, width), channels
        self.floats = tf.TensorSpec((None, height, width, channels), tf.float32, name="images")
        self.bytes = tf.TensorSpec((None,), tf.string, name="images")

    def signatures(self):
        """Concrete functions by name."""
        embed = tf.function(self.embed, input_signature=[self.floats])
        found = {"serving_default": embed, "encoded": tf.function(self.encoded, input_signature=[self.bytes])}
        if "weights" in self.embedder.output:
            found["explain"] = tf.function(self.explain, input_signature=[self.floats])
        # Attributes are callable after loading, and gradients flow through those, for fine-tuning.
        for name, function in found.items():
            setattr(self, name, function)
        return {name: function.get_concrete_function() for name, function in found.items()}

    def embed(self, images):
        return {"embedding": self._outputs(images)["embedding"]}

    def encoded(self, images):
        decoded = tf.map_fn(self._decode, images, fn_output_signature=tf.TensorSpec(self.floats.shape[1:], tf.float32))
        return self.embed(decoded)

    def explain(self, images):
        outputs = self._outputs(images)
        return {name: outputs[name] for name in ("embedding", "weights", "histogram")}

    def _outputs(self, images):
        # TensorFlow's oneDNN convolution gives an empty batch a wrong shape: an image more, and dropped again.
        count = tf.shape(images)[0]
        images = tf.pad(images, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        outputs = self.embedder(images, training=False)
        return {name: tf.cast(value[:count], tf.float32) for name, value in outputs.items()}

    def _decode(self, content):
        image = tf.io.decode_image(content, channels=self.channels, expand_animations=False)
        image = tf.cast(image, tf.float32) / 255
        return tf.ensure_shape(tf.image.resize(image, self.size, antialias=True), self.floats.shape[1:])


def export_saved_model(embedder, directory):
    """Write an embedder as a SavedModel with the signatures of :class:`ServedEmbedder`.

    It takes any batch size, loads in a process that has never imported gsp_tf, and carries the closed-form gradient,
    so that the loaded model can be fine-tuned.

    Args:
        embedder: Keras model, see :class:`ServedEmbedder`.
        directory: path to write; made where it is missing.

    Returns:
        The names of the signatures.

    Raises:
        UserError: if the directory cannot be written.
    """
    served = ServedEmbedder(embedder)
    signatures = served.signatures()
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    try:
        tf.saved_model.save(served, str(directory), signatures=signatures, options=options)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--export {directory} cannot be written: {reason}; give another directory") from None
    return list(signatures)
