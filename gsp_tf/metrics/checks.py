"""Checks of the arguments of the metrics."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np


def checked_embeddings(name: str, embeddings) -> np.ndarray:
    """(samples, dimensions) in float32 or float64, whichever holds the numbers as they are."""
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise ValueError(
            f"{name} must have shape (samples, dimensions), neither of them 0, got shape {embeddings.shape}; "
            "reshape to one row a sample."
        )
    if embeddings.dtype.kind in "cOSUMm":
        raise ValueError(f"{name} must hold real numbers, got dtype {embeddings.dtype}; convert to float32.")
    if embeddings.dtype not in (np.float32, np.float64):
        embeddings = embeddings.astype(np.float32 if embeddings.dtype == np.float16 else np.float64)
    broken = int((~np.isfinite(embeddings)).any(axis=1).sum())
    if broken:
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in {broken} of {len(embeddings)} rows; check "
            "the model that made them."
        )
    return embeddings


def checked_labels(name: str, labels, samples: int, of: str) -> np.ndarray:
    """(samples,) int64; `of` names what has that many rows."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} must have shape (samples,) or (samples, 1), got shape {labels.shape}.")
    whole = labels.dtype.kind == "f" and np.all(np.abs(labels) < 2.0**53) and np.all(labels == np.rint(labels))
    if not whole and labels.dtype.kind not in "biu":
        raise ValueError(
            f"{name} must be integers, or floats that are whole numbers, got other values of dtype "
            f"{labels.dtype}; number the classes from 0."
        )
    if len(labels) != samples:
        raise ValueError(f"{name} must have one label for each of the {samples} rows of {of}, got {len(labels)}.")
    return labels.astype(np.int64)


def check_columns(name: str, embeddings: np.ndarray, ref_embeddings: np.ndarray) -> None:
    if ref_embeddings.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"ref_{name} must have as many columns as {name} ({embeddings.shape[1]}), got "
            f"{ref_embeddings.shape[1]}: embed queries and references with the same model."
        )


def check_both_or_neither(ref_embeddings, ref_labels) -> None:
    if (ref_embeddings is None) != (ref_labels is None):
        missing = "ref_embeddings" if ref_embeddings is None else "ref_labels"
        raise ValueError(f"{missing} is missing: pass ref_embeddings and ref_labels together, or neither.")


def checked_ks(ks: Sequence[int], num_references: int) -> tuple[int, ...]:
    if not isinstance(ks, Sequence) or isinstance(ks, str):
        raise TypeError(f"ks must be a sequence of positive integers such as (1, 10), got {ks!r}.")
    for k in ks:
        if not isinstance(k, Integral) or isinstance(k, bool) or not 1 <= k <= num_references:
            raise ValueError(
                f"ks must be integers from 1 to {num_references}, the number of references of a query, got "
                f"{k!r}; leave it out or pass more references."
            )
    return tuple(int(k) for k in ks)


def check_memory(memory_bytes: int, smallest: int, num_references: int, dim: int) -> None:
    if not isinstance(memory_bytes, Integral) or isinstance(memory_bytes, bool) or memory_bytes < smallest:
        raise ValueError(
            f"memory_bytes must be an integer of at least {smallest}, what one query needs with "
            f"{num_references} references of {dim} dimensions, got {memory_bytes!r}."
        )
