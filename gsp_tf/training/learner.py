"""The model that ``fit`` trains: an embedder with its loss and regulariser."""

import tensorflow as tf
from tensorflow import keras

from gsp_tf.losses.inner_loss import loss_layers
from gsp_tf.ops.checks import check_number
from gsp_tf.ops.labels import as_labels
from gsp_tf.ops.replicas import gather_batch, replica_count


class MetricLearner(keras.Model):
    """Train an embedder with a metric learning loss through Keras's ``fit``.

    The batch loss is (1 − λ) L_DML + λ L_ZS, λ being the regulariser's ``weight`` (0 without one), plus the embedder's
    own losses. Under a ``tf.distribute`` strategy embeddings, histograms and labels of all replicas are gathered in
    replica order and the loss is that of the global batch, so any number of replicas gives one replica's result.
    Keras's callbacks and optimizers do what they do for any model. Source: the GSP paper, section 4.3.

    Args:
        embedder: Keras model from images to embeddings (B, D), or to a dict with ``embedding`` and, for the
            regulariser, ``histogram`` (B, m).
        loss: ``loss(labels, embeddings)`` → scalar, for example :class:`gsp_tf.ContrastiveLoss`; one with variables
            is a layer, for example :class:`gsp_tf.losses.ProxyAnchorLoss`.
        regularizer: :class:`gsp_tf.ZeroShotRegularizer` or None.
        projection: :class:`gsp_tf.losses.Projection` whose proximal term is added, or None; the
            :class:`gsp_tf.AlternatingProjections` callback works on it.
        weight_decay: w ≥ 0, added to the gradient as w θ for the variables of ``decay_variables`` (L2 as the papers
            mean it; for the decoupled kind give the optimizer a ``weight_decay``).
        decay_variables: of the embedder, see :func:`gsp_tf.training.weight_decay.decayed_variables`.
        backbone_variables: whose gradients are multiplied by the weight ``backbone_scale``, which the
            :class:`gsp_tf.HeadWarmup` callback sets.

    Raises:
        ValueError: for a regulariser without a histogram, a negative weight decay, or one without variables.

    >>> import gsp_tf
    >>> images = keras.Input((8, 8, 3))
    >>> embedder = keras.Model(images, gsp_tf.L2Normalize()(gsp_tf.GSPLayer(16)(images)))
    >>> learner = gsp_tf.MetricLearner(embedder, gsp_tf.ContrastiveLoss())
    >>> learner.compile("adam")
    >>> labels = tf.repeat(tf.range(4), 4)
    >>> history = learner.fit(tf.random.normal((16, 8, 8, 3)), labels, batch_size=16, verbose=0)
    """

    def __init__(self, embedder, loss, regularizer=None, projection=None, weight_decay=0.0, decay_variables=(),
                 backbone_variables=(), **kwargs):
        super().__init__(**kwargs)
        if regularizer is not None and not (isinstance(embedder.output, dict) and "histogram" in embedder.output):
            raise ValueError(
                "regularizer needs an embedder that returns a dict with 'embedding' and 'histogram': call "
                "GSPLayer(...)(features, return_histogram=True) and name both outputs"
            )
        self.embedder = embedder
        self.batch_loss = loss
        # A Keras loss is not tracked; the layers that it trains must be.
        self.loss_layers = loss_layers(loss)
        self.regularizer = regularizer
        if regularizer is not None and not regularizer.built:
            regularizer.build([tuple(embedder.output["histogram"].shape), (None,)])
        self.projection = projection
        self.weight_decay = check_number("weight_decay", weight_decay, low=0)
        if self.weight_decay and not decay_variables:
            raise ValueError(
                "weight_decay needs decay_variables, such as gsp_tf.training.weight_decay.decayed_variables(embedder); "
                "got none"
            )
        self.decayed = {id(variable) for variable in decay_variables}
        self.backbone = {id(variable) for variable in backbone_variables}
        self.backbone_scale = self.add_weight(name="backbone_scale", shape=(), initializer="ones", trainable=False)
        self.trackers = [keras.metrics.Mean(name="loss"), keras.metrics.Mean(name="pair_loss")]
        if regularizer is not None:
            self.trackers.append(keras.metrics.Mean(name="zero_shot_loss"))

    @property
    def metrics(self):
        return self.trackers

    def call(self, inputs, training=False):
        outputs = self.embedder(inputs, training=training)
        return outputs["embedding"] if isinstance(outputs, dict) else outputs

    def build_all(self):
        """Make every variable now, the optimizer's too, so that a checkpoint can be read before the first step."""
        # Keras 3's LossScaleOptimizer would make its scale a second time, and forget what it had learned.
        if not hasattr(self.optimizer, "build"):
            # TensorFlow Addons has optimizers of Keras's older kind.
            self.optimizer._create_all_weights(self.trainable_variables)
        elif not getattr(self.optimizer, "built", False):
            self.optimizer.build(self.trainable_variables)
        self.built = True

    def batch_losses(self, outputs, labels, training):
        """The global batch's losses, in the order of ``metrics``, from the outputs and labels of this replica."""
        outputs = outputs if isinstance(outputs, dict) else {"embedding": outputs}
        labels = gather_batch(as_labels(labels))
        mode = {"training": training} if isinstance(self.batch_loss, keras.layers.Layer) else {}
        # Losses of other libraries may give a number for every sample.
        pair_loss = tf.reduce_mean(self.batch_loss(labels, gather_batch(outputs["embedding"]), **mode))
        own = [tf.cast(term, pair_loss.dtype) for term in self.embedder.losses]
        if self.projection is not None:
            own.append(self.projection.proximal_term())
        if self.weight_decay:
            # (w/2) ‖θ‖² has the gradient w θ, and passes through loss scaling and the sum over replicas as losses do.
            squares = [tf.nn.l2_loss(tf.convert_to_tensor(variable)) for variable in self.trainable_variables
                       if id(variable) in self.decayed]
            own.append(tf.cast(self.weight_decay * tf.add_n(squares), pair_loss.dtype))
        if self.regularizer is None:
            return [tf.add_n([pair_loss, *own]), pair_loss]
        weight = self.regularizer.weight
        zero_shot = self.regularizer.zero_shot_loss(gather_batch(outputs["histogram"]), labels)
        return [tf.add_n([(1 - weight) * pair_loss, weight * zero_shot, *own]), pair_loss, zero_shot]

    def train_step(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            losses = self.batch_losses(self.embedder(images, training=True), labels, training=True)
            # Every replica computes the whole loss and optimizers sum the gradients over replicas.
            scaled = self._scale(losses[0] / replica_count())
        variables = self.trainable_variables
        gradients = self._unscale(tape.gradient(scaled, variables))
        if self.backbone:
            gradients = [self._held_back(*pair) for pair in zip(gradients, variables, strict=True)]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for tracker, value in zip(self.trackers, losses, strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def test_step(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        losses = self.batch_losses(self.embedder(images, training=False), labels, training=False)
        for tracker, value in zip(self.trackers, losses, strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def _held_back(self, gradient, variable):
        if gradient is None or id(variable) not in self.backbone:
            return gradient
        return gradient * tf.cast(tf.convert_to_tensor(self.backbone_scale), gradient.dtype)

    # Keras 2.15 scales and unscales in two calls, Keras 3 in one.
    def _scale(self, loss):
        if hasattr(self.optimizer, "get_scaled_loss"):
            return self.optimizer.get_scaled_loss(loss)
        return self.optimizer.scale_loss(loss) if hasattr(self.optimizer, "scale_loss") else loss

    def _unscale(self, gradients):
        if hasattr(self.optimizer, "get_unscaled_gradients"):
            return self.optimizer.get_unscaled_gradients(gradients)
        return gradients

    # Keras 3's fit does not run under MultiWorkerMirroredStrategy, and under MirroredStrategy it fails to reduce scalar
    # logs. With this and the next method it runs under both, and on Keras 2.15 too. Every replica has the global
    # batch's losses, so any one's logs are the step's.
    def make_train_function(self, force=False):
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super().make_train_function(force)
        if self.train_function is None or force:

            @tf.function
            def one_step(iterator):
                strategy = self.distribute_strategy
                results = strategy.run(self.train_step, args=(next(iterator),))
                return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], results)

            self.train_function = one_step
        return self.train_function

    # Keras 3 would take a batch away from the data to build from; everything here can be built without one.
    def _maybe_symbolic_build(self, *args, **kwargs):
        with self.distribute_strategy.scope():
            self.build_all()
