import numpy as np
from tensorflow import keras

from gsp_tf.metrics import retrieval_metrics
from gsp_tf.training.evaluation import RetrievalEvaluation


def test_other_callbacks_see_the_metrics_of_the_weights_at_the_end_of_the_epoch(rng):
    images = rng.normal(size=(12, 3)).astype(np.float32)
    labels = np.repeat(np.arange(4), 3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.embedder = model
    model.compile("sgd", "mse")
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((dict(logs), retrieval_metrics(model(images).numpy(), labels)))

    stop = keras.callbacks.EarlyStopping("val_MAP@R", mode="max", patience=1)
    evaluation = RetrievalEvaluation(images, labels, batch_size=5)
    model.fit(images, np.zeros((12, 2)), epochs=2, verbose=0, callbacks=[evaluation, Watch(), stop])
    for logs, metrics in seen:
        assert logs["val_MAP@R"] == metrics["MAP@R"] and logs["val_P@1"] == metrics["P@1"]
    assert stop.best == max(logs["val_MAP@R"] for logs, _ in seen)
