"""``python -m gsp_tf.report.uot_limits docs/uot_limits.png``: a picture of transport pooling's limits and its range."""

import sys

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gsp_tf.pooling.uot import SOLVERS, UOTPooling
from gsp_tf.report.plots import ACCENT, INK, QUIET
from gsp_tf.training.checkpoint import replaced

LABELS = dict(zip(SOLVERS, ["Sinkhorn", "Bregman ADMM, entropic", "Bregman ADMM, quadratic"], strict=True))
# Where two solvers agree, the first one's wide line and large markers are seen around the second's.
STYLES = {solver: {"color": color, "marker": marker, "linewidth": width, "markersize": 3 * width} for
          solver, color, marker, width in zip(SOLVERS, (QUIET, ACCENT, INK), "os^", (3.2, 1.2, 1.2), strict=True)}
# How the weights go to a limit with t → 0, and the pooling of (B, n, d) features that is reached.
LIMITS = {
    "Mean:  α₁ = 1/t": (lambda t: {"alpha1": 1 / t}, lambda x: x.mean(axis=1)),
    "Max:  α₁ = ρ = t,  α₂ = t²,  α₃ = 1/t":
        (lambda t: {"alpha1": t, "rho": t, "alpha2": t * t, "alpha3": 1 / t}, lambda x: x.max(axis=1)),
    "Attention by softmax(X/α₁):  α₁ = 1,  ρ = t,  α₂ = t²,  α₃ = 1/t":
        (lambda t: {"rho": t, "alpha2": t * t, "alpha3": 1 / t},
         lambda x: (tf.nn.softmax(x, axis=1).numpy() * x).sum(axis=1)),
}


def plain_pooling(x, alpha1, solver, steps=4):
    """Pool (n, d) features without logarithms, by kernels and scalings in the features' dtype; α₂ = α₃ = ρ = 1."""
    one = x.dtype.type(1)
    p, q, alpha1 = one / x.shape[0], one / x.shape[1], x.dtype.type(alpha1)
    w, a, plan, multiplier = alpha1 + one, np.ones_like(x[:, :1]), np.full_like(x, p * q), np.zeros_like(x)
    for _ in range(steps):
        if solver == "sinkhorn":
            kernel = np.exp(x / alpha1)
            b = (q / (kernel * a).sum(axis=0)) ** (one / w)
            a = (p / (kernel * b).sum(axis=1, keepdims=True)) ** (one / w)
            plan = a * kernel * b
        else:
            near = plan * np.exp(x - multiplier)
            near *= (q / near.sum(axis=0)) ** (one / 2)
            near /= near.sum()
            plan = np.exp(multiplier / w) * near ** (one / w)
            plan *= (p / plan.sum(axis=1, keepdims=True)) ** (one / (one + w))
            plan /= plan.sum()
            multiplier += near - plan
    return (plan * x).sum(axis=0) / plan.sum(axis=0)


def draw_uot_limits(path):
    """Draw, into a PNG file, the distance to mean, max and attention pooling, and how many outputs are finite."""
    x = np.random.default_rng(0).normal(size=(16, 49, 8))
    figure = Figure(figsize=(10.5, 7), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    ts, alphas = np.logspace(0, -5, 11), np.logspace(1, -5, 25)
    for axes, (title, (setting, target)) in zip(panels, LIMITS.items(), strict=False):
        for solver in SOLVERS[:2] if "softmax" in title else SOLVERS:
            pooled = [UOTPooling(solver, dtype="float64", **setting(t))(x) for t in ts]
            axes.loglog(ts, [max(np.abs(p - target(x)).max(), 1e-12) for p in pooled], **STYLES[solver])
        axes.set(title=title, xlabel="t", ylabel="largest difference (0 is at 1e-12)")
    single, axes = x.astype(np.float32), panels[3]
    for solver, label in LABELS.items():
        finite = [100 * np.mean(np.isfinite(UOTPooling(solver, alpha1=alpha)(single))) for alpha in alphas]
        axes.semilogx(alphas, finite, **STYLES[solver], label=label)
    for solver in SOLVERS[:2]:
        with np.errstate(all="ignore"):
            plain = [np.stack([plain_pooling(sample, alpha, solver) for sample in single]) for alpha in alphas]
        finite = [100 * np.mean(np.isfinite(p)) for p in plain]
        axes.semilogx(alphas, finite, ":", color=STYLES[solver]["color"], linewidth=2.5)
    stable = "log domain: all three\nplain kernels (dotted): ADMM"
    axes.text(1e-5, 96, stable, ha="right", va="top", fontsize=9, color=INK)
    axes.text(1e-5, 2, "plain kernels (dotted): Sinkhorn", ha="right", va="bottom", fontsize=9, color=INK)
    axes.set(title="Finite outputs in float32:  α₂ = α₃ = ρ = 1,  X normal", xlabel="α₁", ylabel="%")
    for axes in panels:
        axes.invert_xaxis()
        axes.title.set(fontsize=10, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle("UOT pooling in four steps: its limits with t → 0, and its range", x=0.01, ha="left", fontsize=11)
    FigureCanvasAgg(figure)
    with replaced(path) as partial:
        figure.savefig(partial, dpi=120, format="png")


if __name__ == "__main__":
    draw_uot_limits(sys.argv[1])
