"""Models with backbones inside, saved here and loaded by a process that has not built them."""

import json

import numpy as np
from tensorflow import keras

from gsp_tf.backbones import bn_inception, preprocess, resnet20, resnet50
from tests.backbones.random_tensors import random_tensors
from tests.fresh_process import run_python

CODE = """
import json, sys
import numpy as np
from tensorflow import keras
import gsp_tf.backbones

folder = sys.argv[1]
arrays = np.load(folder + "/arrays.npz")
report = {}
for name in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{name}.keras", compile=False)
    features = model(arrays["images"], training=True).numpy()
    report[name] = [float(np.abs(features - arrays[name]).max()), len(model.trainable_weights)]
print(json.dumps(report))
"""

BACKBONES = {
    "bn_inception": (lambda x: bn_inception(x), "caffe_bgr"),
    "resnet50_torch": (lambda x: resnet50(x, style="torch"), "torch"),
    "resnet20": (lambda x: resnet20(x, frozen_batch_norm=True), "none"),
}


def test_backbones_load_in_a_fresh_process(tmp_path, rng):
    images = rng.uniform(size=(1, 32, 35, 3)).astype(np.float32)
    arrays, trainable = {"images": images}, {}
    for name, (make, kind) in BACKBONES.items():
        inputs = keras.Input((None, None, 3))
        model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(make(preprocess(inputs, kind))))
        random_tensors(model, rng)
        arrays[name], trainable[name] = model(images, training=False).numpy(), len(model.trainable_weights)
        assert np.abs(arrays[name]).max() > 1e-3
        model.save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "arrays.npz", **arrays)
    report = json.loads(run_python(CODE, tmp_path, *BACKBONES).splitlines()[-1])
    for name, (error, weights) in report.items():
        assert error <= 1e-5 * np.abs(arrays[name]).max(), name
        assert weights == trainable[name]
