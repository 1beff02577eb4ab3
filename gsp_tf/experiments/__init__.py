"""Experiments: jobs with tables and pictures of their own, each a module to run with ``python -m``."""
