"""The partial transport problem and its derivative as plain loops over the published formulas, in float64."""

import math


def _sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _zeros(rows, columns):
    return [[0.0] * columns for _ in range(rows)]


def solve_sample(cost, mu, epsilon, valid=None):
    """``(residual, plan)`` of one (m, n) cost: bisection for x, in 200 halvings, then the formulas."""
    m, n = len(cost), len(cost[0])
    kept = [j for j in range(n) if valid is None or valid[j]]
    residual, plan = [0.0] * n, _zeros(m, n)
    if not kept:
        return residual, plan
    scores = {}
    for j in kept:
        largest = max(-epsilon * float(cost[i][j]) for i in range(m))
        scores[j] = largest + math.log(sum(math.exp(-epsilon * float(cost[i][j]) - largest) for i in range(m)))
    low = -max(scores.values()) - 100.0
    high = -min(scores.values()) + 100.0
    for _ in range(200):
        x = (low + high) / 2
        if sum(_sigmoid(x + scores[j]) for j in kept) / len(kept) < mu:
            low = x
        else:
            high = x
    for j in kept:
        share = 1.0 if mu == 1 else _sigmoid(x + scores[j])
        residual[j] = 0.0 if mu == 1 else _sigmoid(-x - scores[j]) / len(kept)
        for i in range(m):
            plan[i][j] = math.exp(-epsilon * float(cost[i][j]) - scores[j]) * share / len(kept)
    return residual, plan


def solve(cost, mu, epsilon, mask=None):
    """``(residual, plan)`` as nested lists for (B, m, n) costs and a μ for each sample."""
    solved = [
        solve_sample(cost[b], float(mu[b]), epsilon, None if mask is None else mask[b]) for b in range(len(cost))
    ]
    return [residual for residual, _ in solved], [plan for _, plan in solved]


def gradient_sample(residual, plan, mu, epsilon, d_residual, d_plan):
    """Prop. 4.2: ``(∂L/∂c, ∂L/∂μ)`` of one sample, from ρ, π and the derivatives with respect to them."""
    m, n = len(plan), len(residual)
    q = [0.0] * n
    for j in range(n):
        q[j] = residual[j] * d_residual[j]
        for i in range(m):
            q[j] += plan[i][j] * d_plan[i][j]
    eta = sum(residual[j] * d_residual[j] for j in range(n)) - n * sum(q[j] * residual[j] for j in range(n))
    k = 1 - mu - n * sum(residual[j] ** 2 for j in range(n))
    d_cost = _zeros(m, n)
    for i in range(m):
        for j in range(n):
            inner = q[j] - eta / k * residual[j]
            d_cost[i][j] = -epsilon * (plan[i][j] * d_plan[i][j] - n * plan[i][j] * inner)
    return d_cost, -eta / k


def fixed_point_sample(cost, mu, epsilon, iterations):
    """Prop. 4.1 for one (m, n) cost."""
    m, n = len(cost), len(cost[0])
    t = 1.0
    for _ in range(iterations):
        residual = []
        for j in range(n):
            received = sum(math.exp(-epsilon * float(cost[i][j])) for i in range(m))
            residual.append(1 / n / (1 + t * received))
        moved = 0.0
        for i in range(m):
            for j in range(n):
                moved += math.exp(-epsilon * float(cost[i][j])) * residual[j]
        t = mu / moved
    plan = _zeros(m, n)
    for i in range(m):
        for j in range(n):
            plan[i][j] = t * math.exp(-epsilon * float(cost[i][j])) * residual[j]
    return residual, plan
