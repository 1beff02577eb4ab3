"""Unbalanced optimal transport between places and channels as plain loops, one sample at a time, in float64.

Nothing is in the log domain here: kernels, scalings and products of powers, as the formulas are usually written.
"""

import math

import numpy as np


def _kept(X, valid):
    return [i for i in range(len(X)) if valid is None or valid[i]]


def _unit_mass(P):
    mass = sum(sum(row) for row in P)
    return [[entry / mass for entry in row] for row in P]


def _priors(n, d, p0, q0):
    p0, q0 = [1] * n if p0 is None else list(p0), [1] * d if q0 is None else list(q0)
    return [p / sum(p0) for p in p0], [q / sum(q0) for q in q0]


def structural_gradient(X, P):
    """C_N P C_D with C_N = X Xᵀ/(d s²), C_D = XᵀX/(n s²) and s² the mean square of X."""
    n, d = len(X), len(X[0])
    square = sum(x * x for row in X for x in row) / (n * d)
    if square == 0:
        return [[0.0] * d for _ in range(n)]
    places = [[sum(X[i][k] * X[j][k] for k in range(d)) / (d * square) for j in range(n)] for i in range(n)]
    channels = [[sum(X[i][k] * X[i][m] for i in range(n)) / (n * square) for m in range(d)] for k in range(d)]
    return [
        [sum(places[i][j] * P[j][m] * channels[m][k] for j in range(n) for m in range(d)) for k in range(d)]
        for i in range(n)
    ]


def _scores(X, P, alpha0):
    if not alpha0:
        return X
    added = structural_gradient(X, P)
    return [[x + alpha0 * a for x, a in zip(*rows, strict=True)] for rows in zip(X, added, strict=True)]


def sinkhorn_plan(X, steps, p0=None, q0=None):
    """Scalings a, b of the kernel e^{X/α₁}; ``steps`` are dicts of alpha1, alpha2, alpha3 and optionally alpha0."""
    X = [[float(x) for x in row] for row in X]
    n, d = len(X), len(X[0])
    p0, q0 = _priors(n, d, p0, q0)
    f, P = [0.0] * n, [[p * q for q in q0] for p in p0]
    for step in steps:
        a1, a2, a3 = step["alpha1"], step["alpha2"], step["alpha3"]
        scores = _scores(X, P, step.get("alpha0", 0))
        kernel = [[math.exp(x / a1) for x in row] for row in scores]
        a = [math.exp(f[i] / a1) for i in range(n)]
        b = [(q0[k] / sum(kernel[i][k] * a[i] for i in range(n))) ** (a3 / (a1 + a3)) for k in range(d)]
        a = [(p0[i] / sum(kernel[i][k] * b[k] for k in range(d))) ** (a2 / (a1 + a2)) for i in range(n)]
        f = [a1 * math.log(a[i]) for i in range(n)]
        P = _unit_mass([[a[i] * kernel[i][k] * b[k] for k in range(d)] for i in range(n)])
    return P


def bregman_admm_plan(X, steps, regularizer, p0=None, q0=None):
    """The two plans and the multiplier; ``steps`` are dicts of alpha1, alpha2, alpha3, rho and optionally alpha0."""
    X = [[float(x) for x in row] for row in X]
    n, d = len(X), len(X[0])
    p0, q0 = _priors(n, d, p0, q0)
    S, Z = [[p * q for q in q0] for p in p0], [[0.0] * d for _ in range(n)]
    for step in steps:
        a1, a2, a3, rho = step["alpha1"], step["alpha2"], step["alpha3"], step["rho"]
        scores = _scores(X, S, step.get("alpha0", 0))
        P = [[S[i][k] * math.exp((scores[i][k] - Z[i][k]) / rho) for k in range(d)] for i in range(n)]
        sums = [sum(P[i][k] for i in range(n)) for k in range(d)]
        P = _unit_mass([[P[i][k] * (q0[k] / sums[k]) ** (a3 / (a3 + rho)) for k in range(d)] for i in range(n)])
        w = rho + a1
        V = [[math.exp(Z[i][k] / w) * P[i][k] ** (rho / w) for k in range(d)] for i in range(n)]
        if regularizer == "quadratic":
            V = [[V[i][k] * (S[i][k] * math.exp(-S[i][k])) ** (a1 / w) for k in range(d)] for i in range(n)]
        sums = [sum(V[i]) for i in range(n)]
        S = _unit_mass([[V[i][k] * (p0[i] / sums[i]) ** (a2 / (a2 + w)) for k in range(d)] for i in range(n)])
        Z = [[Z[i][k] + rho * (P[i][k] - S[i][k]) for k in range(d)] for i in range(n)]
    return S


def plan_of(solver, X, steps, valid=None, p0=None, q0=None):
    """The (n, d) plan by a layer's ``solver``: of the valid places alone, 0 at the others."""
    kept = _kept(X, valid)
    plan = [[0.0] * len(X[0]) for _ in X]
    if kept:
        arguments = ([X[i] for i in kept], steps)
        priors = (None if p0 is None else [p0[i] for i in kept], q0)
        if solver == "sinkhorn":
            solved = sinkhorn_plan(*arguments, *priors)
        else:
            solved = bregman_admm_plan(*arguments, solver.removeprefix("badmm_"), *priors)
        for i, row in zip(kept, solved, strict=True):
            plan[i] = row
    return plan


def pooled_sample(solver, X, steps, valid=None):
    """Σ_n P_nd X_nd / Σ_n P_nd for each channel, 0 where no place is valid."""
    plan, kept = plan_of(solver, X, steps, valid), _kept(X, valid)
    if not kept:
        return [0.0] * len(X[0])
    return [
        sum(plan[i][k] * float(X[i][k]) for i in kept) / sum(plan[i][k] for i in kept) for k in range(len(X[0]))
    ]


def objective(P, X, step, regularizer, p0, q0):
    """What (U) maximises, of an (n, d) plan without zeros in its marginals."""
    rows, columns = P.sum(axis=1), P.sum(axis=0)
    smooth = np.sum(P * np.log(np.maximum(P, 1e-300))) if regularizer == "entropic" else np.sum(P**2) / 2
    value = np.sum(X * P) - step["alpha1"] * smooth - step["alpha2"] * np.sum(rows * np.log(rows / p0))
    value -= step["alpha3"] * np.sum(columns * np.log(columns / q0))
    if step.get("alpha0"):
        value += step["alpha0"] / 2 * np.sum(P * np.array(structural_gradient(X.tolist(), P.tolist())))
    return value


def objective_gradient(P, X, step, regularizer, p0, q0):
    """Its gradient, less what is the same for every entry: on plans of mass 1 that has no effect."""
    smooth = np.log(np.maximum(P, 1e-300)) if regularizer == "entropic" else P
    gradient = X - step["alpha1"] * smooth - step["alpha2"] * np.log(P.sum(axis=1) / p0)[:, np.newaxis]
    gradient = gradient - step["alpha3"] * np.log(P.sum(axis=0) / q0)
    if step.get("alpha0"):
        gradient = gradient + step["alpha0"] * np.array(structural_gradient(X.tolist(), P.tolist()))
    return gradient
