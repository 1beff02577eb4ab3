"""Tables of compared methods."""

from gsp_tf.protocols.comparison import METRICS


def comparison_table(summaries, markdown=False):
    """A table of :class:`gsp_tf.protocols.comparison.MethodSummary`, test metrics in per cent, as text.

    >>> from gsp_tf.protocols.comparison import MethodSummary
    >>> figures = {"MAP@R": 0.5, "P@R": 0.6, "P@1": 0.9}
    >>> print(comparison_table([MethodSummary("GAP", 1, figures, dict.fromkeys(figures), 30.0)]))
    method  seeds  test MAP@R  test P@R  test P@1  s a run
    GAP         1       50.00     60.00     90.00       30
    """
    rows = [["method", "seeds", *(f"test {metric}" for metric in METRICS), "s a run"]]
    for summary in summaries:
        figures = [figure(summary.mean[metric], summary.std[metric]) for metric in METRICS]
        rows.append([summary.method, str(summary.seeds), *figures, f"{summary.seconds:.0f}"])
    return layout(rows, markdown)


def layout(rows, markdown=False):
    """Rows of texts, the head first, as a table; all columns but the first stand on the right."""
    if markdown:
        rows = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if index == 0 else cell.rjust(width)
                  for index, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    )


def figure(mean, std):
    """A mean in per cent, with its standard deviation where there is one."""
    return f"{100 * mean:.2f}" if std is None else f"{100 * mean:.2f} ± {100 * std:.2f}"
