"""Intra-batch connections: a message-passing network over the batch, at training time only."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.loss_layer import LossLayer
from gsp_tf.ops.checks import check_count, check_number
from gsp_tf.ops.labels import as_class_indices
from gsp_tf.ops.normalization import l2_normalize


@keras.utils.register_keras_serializable("gsp_tf")
class IntraBatchLoss(LossLayer):
    """Classify a batch's embeddings before and after they have exchanged messages (LIBC).

    The samples of a batch are the nodes of a full graph. With h⁰ the embeddings, every block takes

        f = LN(h + W Σ_j α_ij v_j)   with weights α_ij = softmax_j(q_i · k_j / √(D / heads)) of every head, W the
                                     linear map of the joined heads to D,
        h ← LN(f + MLP(f))           with MLP(f) = W₂ relu(W₁ f + b₁) + b₂,

    and the loss is cross-entropy with label smoothing and temperature T on both,

        L = CE(h^L C / T, y) + w · CE(h⁰ C₀ / T, y),

    with a linear classifier each. Only the loss sees the batch: at test time the un-refined embeddings h⁰ are used,
    each by itself. Works on the embeddings of any pooling. Source: Seidenschwarz, Elezi and Leal-Taixé, "Learning
    Intra-Batch Connections for Deep Metric Learning", ICML 2021, equations 2 to 8.

    Args:
        num_classes: number of training classes.
        embedding_dim: D, a multiple of ``num_heads``.
        num_heads: attention heads.
        num_blocks: message-passing blocks L.
        hidden_dim: width of the MLP; 4 D by default.
        temperature: T > 0. Embeddings of length 1 need a small one.
        label_smoothing: share in [0, 1] of the target spread over all classes.
        auxiliary_weight: w ≥ 0 of the un-refined embeddings' cross-entropy.
        normalize: L2-normalise the embeddings first.
        **kwargs: of ``keras.layers.Layer``.

    Call arguments:
        labels: (B,) or (B, 1) whole numbers in [0, num_classes).
        embeddings: (B, D) floating point; half precision is computed in float32.

    Returns:
        A scalar.

    Raises:
        ValueError: for arguments out of range or shapes that do not fit.

    >>> loss = IntraBatchLoss(num_classes=3, embedding_dim=8, num_heads=2)
    >>> loss(tf.constant([0, 0, 1, 2]), tf.random.normal((4, 8))).shape
    TensorShape([])
    """

    def __init__(self, num_classes, embedding_dim, num_heads=4, num_blocks=1, hidden_dim=None, temperature=0.1,
                 label_smoothing=0.1, auxiliary_weight=1.0, normalize=True, **kwargs):
        super().__init__(check_count("embedding_dim", embedding_dim), **kwargs)
        self.num_classes = check_count("num_classes", num_classes, low=2)
        self.num_heads = check_count("num_heads", num_heads)
        if self.embedding_dim % self.num_heads:
            raise ValueError(f"embedding_dim must be a multiple of num_heads={num_heads}; got {embedding_dim}")
        self.num_blocks = check_count("num_blocks", num_blocks)
        self.hidden_dim = check_count("hidden_dim", 4 * self.embedding_dim if hidden_dim is None else hidden_dim)
        self.temperature = check_number("temperature", temperature, low=0, low_open=True)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, low=0, high=1)
        self.auxiliary_weight = check_number("auxiliary_weight", auxiliary_weight, low=0)
        self.normalize = bool(normalize)
        dtype, size = self.variable_dtype, self.embedding_dim
        blocks = range(self.num_blocks)
        # Flat lists of layers: in nested containers Keras 2.15 would not save them.
        self.attentions = [keras.layers.MultiHeadAttention(num_heads, size // num_heads, dtype=dtype) for _ in blocks]
        self.norms = [keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype) for _ in blocks]
        self.hidden_layers = [keras.layers.Dense(self.hidden_dim, activation="relu", dtype=dtype) for _ in blocks]
        self.output_layers = [keras.layers.Dense(size, dtype=dtype) for _ in blocks]
        self.output_norms = [keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype) for _ in blocks]
        self.refined_classifier = keras.layers.Dense(self.num_classes, use_bias=False, dtype=dtype)
        self.plain_classifier = keras.layers.Dense(self.num_classes, use_bias=False, dtype=dtype)
        # Keras's own layers make their variables when called; a batch of one sample makes all of them.
        sample = tf.zeros((1, size), dtype)
        self.plain_classifier(sample)
        self.refined_classifier(self.refine(sample))

    def refine(self, embeddings):
        """Embeddings (B, D) after all message-passing blocks, (B, D)."""
        nodes = embeddings[tf.newaxis]
        for attention, norm, hidden, output, output_norm in zip(
            self.attentions, self.norms, self.hidden_layers, self.output_layers, self.output_norms, strict=True
        ):
            nodes = norm(nodes + attention(nodes, nodes))
            nodes = output_norm(nodes + output(hidden(nodes)))
        return nodes[0]

    def batch_loss(self, labels, embeddings, training):
        labels = as_class_indices(labels, self.num_classes)
        if self.normalize:
            embeddings = l2_normalize(embeddings)
        refined = self._cross_entropy(labels, self.refined_classifier(self.refine(embeddings)))
        return refined + self.auxiliary_weight * self._cross_entropy(labels, self.plain_classifier(embeddings))

    def _cross_entropy(self, labels, scores):
        off = self.label_smoothing / self.num_classes
        targets = tf.one_hot(labels, self.num_classes, 1 - self.label_smoothing + off, off, dtype=scores.dtype)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, scores / self.temperature))

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "embedding_dim": self.embedding_dim,
            "num_heads": self.num_heads,
            "num_blocks": self.num_blocks,
            "hidden_dim": self.hidden_dim,
            "temperature": self.temperature,
            "label_smoothing": self.label_smoothing,
            "auxiliary_weight": self.auxiliary_weight,
            "normalize": self.normalize,
        }
