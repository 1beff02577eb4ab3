"""What a result needs to be trusted: versions, commit, hash of the config."""

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import tensorflow as tf

from gsp_tf.version import __version__


def provenance():
    """Versions of everything that computes, and the package's git commit (None outside a git checkout)."""
    return {
        "gsp_tf": __version__,
        "tensorflow": tf.__version__,
        "keras": metadata.version("keras"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "commit": _commit(),
    }


def hardware(strategy):
    """What computed: the processor, the number of its cores that this process may use, and the devices."""
    devices = [tf.config.experimental.get_device_details(device).get("device_name", device.device_type)
               for device in tf.config.list_physical_devices("GPU")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": cores,
        "gpus": devices,
        "strategy": type(strategy).__name__,
    }


def config_hash(values):
    """SHA-256 of a config's plain values, the same for any order of keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _commit():
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
