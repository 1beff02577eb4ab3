"""Train and compare the methods of a config: ``python train.py --help``."""

import os
import sys

# TensorFlow's start-up lines would bury the progress; its warnings and errors stay.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from gsp_tf.commands.train import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
