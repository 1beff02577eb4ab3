"""Networks that map images to feature maps, and the files of their weights."""

from gsp_tf.backbones.batch_norm import freeze_batch_norm
from gsp_tf.backbones.bn_inception import bn_inception
from gsp_tf.backbones.convnet import convnet
from gsp_tf.backbones.keras_model import keras_model
from gsp_tf.backbones.preprocessing import Preprocessing, preprocess
from gsp_tf.backbones.resnet50 import resnet50
from gsp_tf.backbones.resnet_cifar import resnet20, resnet_v2_20
from gsp_tf.backbones.torch_state_dict import load_torch_state_dict
from gsp_tf.backbones.weights import load_weights, read_weights, weights_hash

__all__ = [
    "Preprocessing",
    "bn_inception",
    "convnet",
    "freeze_batch_norm",
    "keras_model",
    "load_torch_state_dict",
    "load_weights",
    "preprocess",
    "read_weights",
    "resnet20",
    "resnet50",
    "resnet_v2_20",
    "weights_hash",
]
