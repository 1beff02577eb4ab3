"""One HTML page of a job: table, curves, retrieved images, weights, prototypes, maps, and what made the runs."""

import csv
import io
from pathlib import Path

import jinja2
from tqdm import tqdm

from gsp_tf.errors import UserError
from gsp_tf.report.page_method import page_method
from gsp_tf.report.page_thumbnail import scale_css
from gsp_tf.report.table import comparison_table
from gsp_tf.training.checkpoint import write_text
from gsp_tf.training.config_file import read_mapping

_HERE = Path(__file__).parent
_TEMPLATE = "page.html.jinja"


def write_page(evaluated, directory, path, show_progress=False, published=None):
    """Write a page that needs nothing but itself: every picture is within, and there is no script.

    Args:
        evaluated: :class:`gsp_tf.protocols.evaluated.EvaluatedJob`.
        directory: that it was read from.
        path: of the HTML file.
        show_progress: whether to show it.
        published: rows of the papers, see :func:`gsp_tf.report.table.comparison_table`.

    Raises:
        UserError: for a model or images that are missing on this machine, or a path that is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the name of an HTML file")
    # Before minutes of work, not after.
    path.parent.mkdir(parents=True, exist_ok=True)
    methods = [page_method(name, runs, number) for number, (name, runs) in enumerate(
        tqdm(evaluated.runs.items(), "report", unit="method", disable=not show_progress), start=1)]
    results = [result for runs in evaluated.runs.values() for _, result in runs]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template(_TEMPLATE).render(
        title=_title(Path(directory)),
        data=results[0]["config"]["data"]["name"],
        protocol=results[0].get("protocol", "comparison"),
        runs=len(results),
        test_chose=any(result.get("selected_on") == "test" for result in results),
        notes=evaluated.notes,
        rows=_table_rows(evaluated.summaries, published),
        scale=scale_css(),
        methods=methods,
        version=results[0].get("versions", {}).get("gsp_tf", ""),
    ))


def _title(directory):
    """The job's name, or that of the folder where it is only part of one."""
    job = directory / "job.yaml"
    return read_mapping(job)["name"] if job.exists() else directory.resolve().name


def _table_rows(summaries, published):
    """The table's rows of texts, the head first, each with whether it is a published one."""
    rows = list(csv.reader(io.StringIO(comparison_table(summaries, "csv", published))))
    kinds = [False]
    for summary in summaries:
        kinds += [False, *[True] * len((published or {}).get(summary.method, ()))]
    return list(zip(rows, kinds, strict=True))
