"""Which settings a study tries: grids and fractional factorial designs."""

import functools
import itertools
import math
import operator
import re

_COMPARISONS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}


def grid(values, where=()):
    """Every choice of one value a parameter, the last parameter changing fastest.

    Args:
        values: dict from parameter to a list of values.
        where: texts ``parameter >= parameter`` (or ``>``, ``<``, ``<=``); only choices with all of them true are kept.

    Returns:
        list of dicts from parameter to value.

    Raises:
        ValueError: for a text of another form, values that cannot be compared, or if no choice is left.

    >>> grid({"proxies": [1, 4], "pool": [1, 4]}, ["pool >= proxies"])
    [{'proxies': 1, 'pool': 1}, {'proxies': 1, 'pool': 4}, {'proxies': 4, 'pool': 4}]
    """
    points = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    for text in where:
        match = re.fullmatch(r"\s*(\w+)\s*(<=|<|>=|>)\s*(\w+)\s*", text)
        if match is None or not {match[1], match[3]} <= set(values):
            raise ValueError(f"where: takes texts such as 'a >= b' of the parameters {', '.join(values)}; got {text!r}")
        try:
            points = [point for point in points if _COMPARISONS[match[2]](point[match[1]], point[match[3]])]
        except TypeError:
            raise ValueError(f"where: {text!r} compares values that are not numbers") from None
    if not points:
        raise ValueError(f"where: no choice of values is left by {list(where)}")
    return points


def fractional_factorial(levels, generators):
    r"""Two-level design :math:`2^{k-p}`: all choices of the k − p free parameters; the others follow.

    A level counts as −1 (low) or +1 (high). A parameter with a generator takes the level whose sign is the product of
    those of the parameters that the generator names; a leading "-" turns it round.

    Args:
        levels: dict from parameter to (low, high).
        generators: dict from a parameter to a text such as "m*mu*epsilon".

    Returns:
        list of dicts from parameter to value, the last free parameter changing fastest.

    >>> rows = fractional_factorial({"a": (0, 1), "b": (0, 1), "c": (5, 7)}, {"c": "a*b"})
    >>> [tuple(row.values()) for row in rows]
    [(0, 0, 7), (0, 1, 5), (1, 0, 5), (1, 1, 7)]

    Source: G. E. P. Box, J. S. Hunter, "The 2^(k-p) fractional factorial designs", Technometrics 1961.
    """
    free = [name for name in levels if name not in generators]
    rows = []
    for chosen in itertools.product((-1, 1), repeat=len(free)):
        signs = dict(zip(free, chosen, strict=True))
        for name, text in generators.items():
            product = math.prod(signs[factor] for factor in text.removeprefix("-").split("*"))
            signs[name] = -product if text.startswith("-") else product
        rows.append({name: pair[signs[name] > 0] for name, pair in levels.items()})
    return rows


def resolution(generators):
    """How many parameters the shortest product has that never changes its sign; infinite for a full design.

    From 4 on no main effect is mixed with a two-factor interaction; with 3 it is; below that main effects are mixed
    with each other.

    Args:
        generators: dict from a parameter to the list of those that its generator multiplies.

    >>> resolution({"lambda": ["m", "mu", "epsilon"]})
    4
    >>> resolution({"d": ["a", "b"], "e": ["a", "b"]})
    2
    """
    words = [{name, *factors} for name, factors in generators.items()]
    products = [functools.reduce(operator.xor, chosen) for count in range(1, len(words) + 1)
                for chosen in itertools.combinations(words, count)]
    return min((len(product) for product in products), default=math.inf)
