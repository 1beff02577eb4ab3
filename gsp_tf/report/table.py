"""Tables of compared methods."""

import csv
import io

from gsp_tf.protocols.summary import METRICS

FORMATS = ("text", "markdown", "csv", "latex")
NOTHING = "–"


def comparison_table(summaries, style="text", published=None):
    """A table of :class:`gsp_tf.protocols.summary.MethodSummary`, metrics in per cent.

    Methods with ensembles have two groups of columns, for the single and for the concatenated embedding.

    Args:
        summaries: list of them.
        style: one of ``FORMATS``.
        published: dict from method to a list of :class:`gsp_tf.protocols.published_results.PublishedRow`; each
            becomes a row below the method's own.

    >>> from gsp_tf.protocols.summary import MethodSummary
    >>> figures = {"MAP@R": 0.5, "P@R": 0.6, "P@1": 0.9}
    >>> print(comparison_table([MethodSummary("GAP", 1, figures, dict.fromkeys(figures), 30.0)]))
    method  seeds  test MAP@R  test P@R  test P@1  s a run
    GAP         1       50.00     60.00     90.00       30
    """
    ensembles = any(summary.ensemble is not None for summary in summaries)
    counted = any(summary.counted for summary in summaries)
    if ensembles:
        dimensions = next(summary.dimensions for summary in summaries if summary.dimensions is not None)
        columns = [(group, f"{metric} {size}-D", metric) for group, size in enumerate(dimensions) for metric in METRICS]
    else:
        columns = [(0, f"{summaries[0].part} {metric}", metric) for metric in METRICS]
    rows = [["method", "over" if counted else "seeds", *(title for _, title, _ in columns), "s a run"]]
    for summary in summaries:
        groups = [(summary.mean, summary.std), summary.ensemble]
        figures = [NOTHING if groups[group] is None else figure(groups[group][0][metric], groups[group][1][metric])
                   for group, _, metric in columns]
        over = summary.counted or f"{summary.seeds} runs" if counted else str(summary.seeds)
        rows.append([summary.method, over, *figures, f"{summary.seconds:.0f}"])
        for row in (published or {}).get(summary.method, ()):
            rows.append([f"  {row.method}", row.source, *_published(row, columns, summary), NOTHING])
    return layout(rows, style)


def _published(row, columns, summary):
    """A published row's figures, in the columns of the embedding size that they are of; without sizes, of any."""
    sizes = summary.dimensions or (max(size for size, _ in row.figures),)
    return [figure(*row.figures[sizes[group], metric]) if (sizes[group], metric) in row.figures else NOTHING
            for group, _, metric in columns]


def paired_table(differences, style="text"):
    """A table of :class:`gsp_tf.protocols.paired.PairedDifference`, in points of per cent."""
    rows = [["A − B", "of", "metric", "pairs", "difference", "p"]]
    for found in differences:
        mean = f"{100 * found.mean:+.2f}" + ("" if found.std is None else f" ± {100 * found.std:.2f}")
        chance = NOTHING if found.p_value is None else f"{found.p_value:.2g}"
        rows.append([found.name, found.kind, found.metric, str(found.pairs), mean, chance])
    return layout(rows, style)


def layout(rows, style="text"):
    """Rows of texts, the head first, as a table; all columns but the first stand on the right.

    Args:
        rows: lists of texts of one length.
        style: one of ``FORMATS``; "latex" needs the package booktabs.
    """
    if style == "markdown":
        rows = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
    if style == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([[cell.strip() for cell in row] for row in rows])
        return text.getvalue().rstrip("\n")
    if style == "latex":
        head, *body = ([_latex(cell) for cell in row] for row in rows)
        lines = [" & ".join(row) + r" \\" for row in body]
        return "\n".join([rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", " & ".join(head) + r" \\",
                          r"\midrule", *lines, r"\bottomrule", r"\end{tabular}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if index == 0 else cell.rjust(width)
                  for index, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    )


def notes_text(notes, style="text"):
    """Sentences below a table, as comments where the format has any; nothing for no notes."""
    mark = {"text": "", "markdown": "", "csv": "# ", "latex": "% "}[style]
    return "".join(f"\n{mark}{note}" for note in notes)


def figure(mean, std):
    """A mean in per cent, with its standard deviation where there is one."""
    return f"{100 * mean:.2f}" if std is None else f"{100 * mean:.2f} ± {100 * std:.2f}"


def _latex(cell):
    for character in "\\&%$#_{}":
        cell = cell.replace(character, rf"\{character}" if character != "\\" else r"\textbackslash ")
    return cell.replace("±", r"$\pm$").replace(NOTHING, "--").strip()
