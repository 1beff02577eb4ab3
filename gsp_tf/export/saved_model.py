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

    An embedder without GSP has uniform ``weights`` of average pooling nowhere to show, so it has no ``explain``.

    Args:
        embedder: Keras model from images to a dict with ``embedding``, and with GSP ``histogram`` and ``weights``.
    """

    def __init__(self, embedder):
        super().__init__()
        self.embedder = embedder
        # Keras 3 models keep their variables where tf.Module does not look.
        self.model_variables = list(embedder.variables)
        height, width, channels = embedder.input.shape[1:]
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
        return {"embedding": self.embedder(images, training=False)["embedding"]}

    def encoded(self, images):
        decoded = tf.map_fn(self._decode, images, fn_output_signature=tf.TensorSpec(self.floats.shape[1:], tf.float32))
        return self.embed(decoded)

    def explain(self, images):
        outputs = self.embedder(images, training=False)
        return {name: outputs[name] for name in ("embedding", "weights", "histogram")}

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
