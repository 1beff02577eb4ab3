"""Measure finished runs again and export them: ``python evaluate.py --help``."""

import os
import sys

# TensorFlow's start-up lines would bury the table; its warnings and errors stay.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from gsp_tf.commands.evaluate import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
