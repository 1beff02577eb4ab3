"""The papers' own figures, to stand beside a run's."""

import csv
import difflib
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from gsp_tf.errors import UserError
from gsp_tf.training.config_file import read_mapping

TABLES = {number: f"thesis, table {number}" for number in ("3.1", "3.2", "5.1", "5.2", "5.3", "5.4")}


class PublishedRow(NamedTuple):
    """A row of a paper's table, in shares of 1 as results are.

    Attributes:
        source: the table.
        method: as the table names it.
        figures: dict from (dimension, metric) to (mean, std); std is None where the table has none.
    """

    source: str
    method: str
    figures: dict


def published_rows(tables, dataset, method):
    """The rows of a method on a data set in some tables, those that have one.

    Args:
        tables: keys of ``TABLES``.
        dataset: as the tables name it: CUB, Cars196, SOP or In-shop.
        method: as they name it.

    Returns:
        list of :class:`PublishedRow`, at least one.

    Raises:
        UserError: for a table, data set or method that there is none of; it names the nearest.

    >>> row, = published_rows(["5.1"], "CUB", "C2+GSP")
    >>> mean, std = row.figures[128, "MAP@R"]
    >>> print(f"{mean:.4f} ± {std:.4f}")
    0.2153 ± 0.0024
    """
    rows = [row for table in tables for row in [_row(table, dataset, method)] if row.figures]
    if not rows:
        known = sorted({found["method"] for table in tables for found in _read(table)})
        datasets = sorted({found["dataset"] for table in tables for found in _read(table)})
        near = difflib.get_close_matches(method, known, 1, cutoff=0.0)[0]
        raise UserError(
            f"published: tables {', '.join(tables)} have no figure of {method!r} on {dataset!r}; data sets: "
            f"{', '.join(datasets)}; nearest method: {near}"
        )
    return rows


def published_of(directory):
    """The rows that a job's config names for its methods.

    Args:
        directory: of the job.

    Returns:
        dict from method to a list of :class:`PublishedRow`.

    Raises:
        UserError: for a job that names none.
    """
    path = Path(directory) / "job.yaml"
    job = read_mapping(path) if path.exists() else {}
    named = job.get("published")
    if named is None:
        raise UserError(f"--paper: {path} names no published rows: give the folder of a job whose config has them")
    return {
        method: [row for name in ([names] if isinstance(names, str) else names)
                 for row in published_rows(named["tables"], named["dataset"], name)]
        for method, names in named["rows"].items() if method in job["methods"]
    }


def _row(table, dataset, method):
    figures = {
        (int(found["dimension"]), found["metric"]):
            (float(found["mean"]) / 100, float(found["std"]) / 100 if found["std"] else None)
        for found in _read(table) if (found["method"], found["dataset"]) == (method, dataset)
    }
    return PublishedRow(TABLES[table], method, figures)


def _read(table):
    if table not in TABLES:
        raise UserError(f"published.tables must be of {', '.join(TABLES)}; got {table!r}")
    text = resources.files("gsp_tf.protocols").joinpath(f"published/table_{table.replace('.', '_')}.csv").read_text()
    return list(csv.DictReader(text.splitlines()))
