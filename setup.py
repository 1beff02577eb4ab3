"""Metadata, dependencies and extras of gsp_tf."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Take the version out of gsp_tf/version.py without importing the package, which needs TensorFlow."""
    text = (ROOT / "gsp_tf" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE).group(1)


setup(
    name="gsp_tf",
    version=read_version(),
    description="Generalized Sum Pooling and zero-shot regularised metric learning for TensorFlow and Keras",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["metric learning", "pooling", "optimal transport", "image retrieval", "TensorFlow", "Keras"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["gsp_tf", "gsp_tf.*"]),
    package_data={"gsp_tf": ["py.typed"], "gsp_tf.protocols": ["published/*.csv", "published/README.md"],
                  "gsp_tf.report": ["page.css", "page.html.jinja"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "tensorflow>=2.15,<2.22",
        "keras>=2.15,<4",
        "pydantic>=2,<3",
        "PyYAML",
        "numpy",
        "scipy",
        "scikit-learn",
        "matplotlib",
        "tqdm",
        "filelock",
        "threadpoolctl>=3",
        "Jinja2",
        "tensorboard",
    ],
    extras_require={
        # tensorflow-addons ends at TensorFlow 2.15, which ends at Python 3.11. On a newer Python pip refuses
        # the extra, for tensorflow-addons has no marker on purpose: one would leave it out without a word.
        "addons": ["tensorflow==2.15.*; python_version < '3.12'", "tensorflow-addons==0.23.*"],
        "test": ["pytest", "scipy", "cvxpy", "ruff", "optuna>=3.6,<6"],
        "torch": ["torch>=2.6"],
        "search": ["optuna>=3.6,<6"],
        # Version 3 of pytorch-metric-learning has other names, and so another benchmark.
        "benchmark": ["torch>=2.6,<3", "pytorch-metric-learning>=2.4,<3", "faiss-cpu>=1.8,<2"],
    },
    entry_points={
        "console_scripts": [
            "gsp-train = gsp_tf.commands.train:main",
            "gsp-evaluate = gsp_tf.commands.evaluate:main",
            "gsp-data = gsp_tf.commands.data:main",
        ]
    },
)
