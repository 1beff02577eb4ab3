"""Long tests that one of the two stacks runs for both: CI runs the suite on each, and what they test is the same."""

import pytest

from gsp_tf.stack import installed_stack

_KERAS_2 = (installed_stack().keras or "").startswith("2.")

on_current_stack = pytest.mark.skipif(_KERAS_2, reason="long, and run on the current stack")
on_addons_stack = pytest.mark.skipif(not _KERAS_2, reason="long, and run on the addons stack")
