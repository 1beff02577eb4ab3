"""Run Python in a process of its own, where nothing of this one is loaded."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_python(code, *arguments, timeout=240):
    """Run the code with the arguments in ``sys.argv[1:]``; return what it printed, and fail the test if it failed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    return process.stdout
