"""Table and picture of a comparison of poolings."""

from matplotlib.figure import Figure

from gsp_tf.report.plots import ACCENT, INK, QUIET, save_figure
from gsp_tf.report.table import figure, layout

METRICS = ("MAP@R", "P@1")


def bake_off_table(scores, costs, style="text"):
    """One row a pooling: test metrics in per cent with every loss, and what the pooling costs.

    Args:
        scores: dict from pooling to a dict from loss to :class:`gsp_tf.protocols.summary.MethodSummary`.
        costs: dict from pooling to its ``parameters``, ``time`` and ``megabytes``.
        style: see :func:`gsp_tf.report.table.layout`.
    """
    losses = list(dict.fromkeys(loss for found in scores.values() for loss in found))
    rows = [["pooling", *(f"{loss} {metric}" for loss in losses for metric in METRICS), "parameters", "time / first",
             "peak MB"]]
    for pooling, found in scores.items():
        cost = costs[pooling]
        shown = [figure(found[loss].mean[metric], found[loss].std[metric]) if loss in found else "–"
                 for loss in losses for metric in METRICS]
        rows.append([pooling, *shown, f"{cost['parameters']:,}", f"{cost['time']:.2f}", f"{cost['megabytes']:.0f}"])
    return layout(rows, style)


def plot_bake_off(scores, path, title, metric="MAP@R"):
    """Horizontal bars of a test metric, a panel a loss and a row a pooling, best of the first loss on top.

    Args:
        scores: as of :func:`bake_off_table`.
        path: of the PNG file.
        title: over the picture.
        metric: which metric.
    """
    losses = list(dict.fromkeys(loss for found in scores.values() for loss in found))
    order = sorted(scores, key=lambda pooling: -scores[pooling][losses[0]].mean[metric]
                   if losses[0] in scores[pooling] else 0)
    picture = Figure(figsize=(2.2 + 4 * len(losses), 1.4 + 0.33 * len(order)), layout="constrained")
    panels = picture.subplots(1, len(losses), sharey=True, squeeze=False)[0]
    seeds = sorted({summary.seeds for found in scores.values() for summary in found.values()})
    counted = f"mean ± std of {' to '.join(map(str, seeds))} seeds" if seeds != [1] else "one seed"
    for panel, loss in zip(panels, losses, strict=True):
        for row, pooling in enumerate(order):
            if loss not in scores[pooling]:
                continue
            summary = scores[pooling][loss]
            mean, std = 100 * summary.mean[metric], 100 * (summary.std[metric] or 0)
            panel.barh(row, mean, xerr=std or None, color=ACCENT if "GSP" in pooling else QUIET, ecolor=INK,
                       height=0.7, capsize=2)
            panel.text(mean + std + 1, row, f"{mean:.1f}", va="center", color=INK, fontsize=8)
        panel.set_title(loss, loc="left", fontsize=10, color=INK)
        panel.set_xlim(0, 114)
        panel.set_xticks(range(0, 101, 20))
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.spines["bottom"].set_bounds(0, 100)
        panel.tick_params(axis="y", length=0)
        panel.set_xlabel(f"test {metric} (%), {counted}")
    panels[0].set_yticks(range(len(order)), order)
    panels[0].invert_yaxis()
    picture.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK)
    save_figure(picture, path)
