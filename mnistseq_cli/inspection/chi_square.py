"""How likely a chi-square statistic is: the regularised incomplete gamma function.

Sources: NIST Digital Library of Mathematical Functions, equations 8.11.4 (series), 8.9.2
(continued fraction, in the even form of 8.9.2 that Press et al., "Numerical Recipes", 3rd edition,
section 6.2, evaluate by the method of Lentz).
"""

from __future__ import annotations

import math

_TINY = 1e-300
_CLOSE = 1e-16
_MOST_STEPS = 100_000


def find_p_value(statistic: float, degrees: int) -> float:
    """Give the probability of a statistic as large or larger, by chance alone.

    Parameters
    ----------
    statistic : float
        0 or more.
    degrees : int
        Degrees of freedom, 1 or more.
    """
    return upper_gamma(degrees / 2, statistic / 2)


def upper_gamma(a: float, x: float) -> float:
    """Give the upper regularised incomplete gamma function Q(a, x), for a > 0 and x >= 0.

    The relative error is below 1e-11 for a up to 1000, wherever Q is not below 1e-290.

    Raises
    ------
    ValueError
        `a` or `x` is out of range.
    """
    if not (a > 0 and x >= 0):
        raise ValueError(f"Q({a}, {x}): allowed are a > 0 and x >= 0")
    if x == 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return max(0.0, 1.0 - scale * _sum_series(a, x))
    return min(1.0, scale * _evaluate_fraction(a, x))


def _sum_series(a: float, x: float) -> float:
    """Sum x^n / (a (a + 1) … (a + n)) over n from 0 on."""
    term = total = 1.0 / a
    for n in range(1, _MOST_STEPS):
        term *= x / (a + n)
        total += term
        if term < total * _CLOSE:
            break
    return total


def _evaluate_fraction(a: float, x: float) -> float:
    """Evaluate 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - …)))."""
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    value = d
    for n in range(1, _MOST_STEPS):
        numerator = -n * (n - a)
        b += 2.0
        d = 1.0 / _keep_off_zero(numerator * d + b)
        c = _keep_off_zero(b + numerator / c)
        value *= c * d
        if abs(c * d - 1.0) < _CLOSE:
            break
    return value


def _keep_off_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
