import json

import numpy as np
import pytest
from tensorflow import keras

from gsp_tf.losses.contrastive import ContrastiveLoss
from gsp_tf.losses.cross_batch_memory import CrossBatchMemory
from gsp_tf.losses.generalized_contrastive import GeneralizedContrastiveLoss
from gsp_tf.losses.proxies import Proxies
from gsp_tf.losses.proxy_anchor import ProxyAnchorLoss
from gsp_tf.losses.proxy_nca import ProxyNCALoss
from gsp_tf.losses.soft_triple import SoftTripleLoss
from tests.fresh_process import run_python

CLASSES, DIM, BATCH = 3, 4, 6

IN_ANOTHER_PROCESS = """
import json
import sys
import numpy as np
import gsp_tf
from tensorflow import keras

model = keras.models.load_model(sys.argv[1])
data = np.load(sys.argv[2])
before = {key: float(value) for key, value in model([data["labels"], data["embeddings"]], training=True).items()}
after = {key: float(value) for key, value in model([data["labels"], data["embeddings"]], training=True).items()}
print(json.dumps([before, after]))
"""


@pytest.fixture
def model():
    """Every loss layer at once, the memory filled but not yet in use."""
    layers = {
        "proxies": Proxies(CLASSES, DIM, 2, ContrastiveLoss(0.1, 1.2), lr_multiplier=10.0),
        "anchor": ProxyAnchorLoss(CLASSES, DIM, margin=0.2, alpha=4.0),
        "nca": ProxyNCALoss(CLASSES, DIM, temperature=0.2, distance="cosine"),
        "soft_triple": SoftTripleLoss(CLASSES, DIM, 3, lambda_=4.0),
        "memory": CrossBatchMemory(
            GeneralizedContrastiveLoss(0.3, 0.9, CLASSES), 2, 3, batch_size=BATCH, embedding_dim=DIM, name="memory"
        ),
    }
    labels, embeddings = keras.Input((), dtype="int32"), keras.Input((DIM,))
    return keras.Model([labels, embeddings], {name: layer(labels, embeddings) for name, layer in layers.items()})


def test_every_loss_layer_loads_in_a_fresh_process(model, rng, tmp_path):
    labels, embeddings = rng.integers(0, CLASSES, BATCH), rng.normal(size=(BATCH, DIM)).astype(np.float32)
    np.savez(tmp_path / "data.npz", labels=labels, embeddings=embeddings)
    model.get_layer("memory").loss.margins.set_weights([np.array([0.7, 0.9, 1.1])])
    for _ in range(2):
        model([labels, rng.normal(size=(BATCH, DIM)).astype(np.float32)], training=True)
    model.save(tmp_path / "model.keras")
    expected = [
        {name: float(value) for name, value in model([labels, embeddings], training=True).items()} for _ in range(2)
    ]
    found = json.loads(run_python(IN_ANOTHER_PROCESS, tmp_path / "model.keras", tmp_path / "data.npz").splitlines()[-1])
    assert found[0] == pytest.approx(expected[0], rel=1e-6) and found[1] == pytest.approx(expected[1], rel=1e-6)
    # The third step has passed: the memory is in use, and its content was saved.
    assert expected[1]["memory"] > expected[0]["memory"]
