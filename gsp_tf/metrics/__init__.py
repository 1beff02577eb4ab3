"""Metrics of embeddings, in NumPy."""

from gsp_tf.metrics.model_collections import CollectionMetrics, collection_metrics
from gsp_tf.metrics.retrieval import retrieval_metrics

__all__ = ["CollectionMetrics", "collection_metrics", "retrieval_metrics"]
