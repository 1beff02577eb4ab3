"""Metrics of embeddings, in NumPy."""

from gsp_tf.metrics.retrieval import retrieval_metrics

__all__ = ["retrieval_metrics"]
