"""Networks that map images to feature maps."""

from gsp_tf.backbones.convnet import convnet

__all__ = ["convnet"]
