"""One trainable margin per class."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.ops.checks import check_count, check_number
from gsp_tf.ops.labels import as_class_indices
from gsp_tf.ops.variables import full_precision_weight


@keras.utils.register_keras_serializable("gsp_tf")
class ClassMargins(keras.layers.Layer):
    """A trainable number for every class, all starting alike: the boundaries β of the margin loss.

    The variable ``values`` (C,) exists from the start. A model that holds this layer as an attribute trains it.

    Args:
        num_classes: C; labels are in [0, C).
        initial: the value that all start from, > 0.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers.

    Returns:
        (B,), the number of each label's class, in the variable's dtype.

    Raises:
        ValueError: for arguments out of range, or labels outside [0, C) that are known now. Symbolic labels are
            checked when the graph runs, with ``tf.errors.InvalidArgumentError``; ``jit_compile`` drops that check.

    >>> ClassMargins(num_classes=3, initial=0.5)(tf.constant([2, 0])).numpy().tolist()
    [0.5, 0.5]
    """

    def __init__(self, num_classes, initial, **kwargs):
        # Half precision would round float labels: in bfloat16, 257 is 256.
        super().__init__(autocast=False, **kwargs)
        self.num_classes = check_count("num_classes", num_classes)
        self.initial = check_number("initial", initial, low=0, low_open=True)
        self.values = full_precision_weight(
            self, name="values", shape=(self.num_classes,),
            # Keras 3's Constant passes through float32 on the way to float64.
            initializer=lambda shape, dtype=None: tf.constant(self.initial, dtype, shape),
        )
        self.built = True

    def call(self, labels):
        return tf.gather(tf.convert_to_tensor(self.values), as_class_indices(labels, self.num_classes))

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "initial": self.initial}
