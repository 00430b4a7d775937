from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.inspection.gap_test import find_p_value, upper_gamma

# NIST/SEMATECH, "e-Handbook of Statistical Methods", 1.3.6.7.4: upper critical values.
CRITICAL = {
    (1, 0.05): 3.841,
    (1, 0.001): 10.828,
    (5, 0.10): 9.236,
    (10, 0.05): 18.307,
    (30, 0.01): 50.892,
    (100, 0.025): 129.561,
    (100, 0.001): 149.449,
}
# scipy.special.gammaincc(degrees / 2, statistic / 2), SciPy 1.17.1.
SCIPY = {
    (7.2, 8): 0.5152161104661482,
    (250.0, 200): 0.009379131668826098,
    (1.5, 3): 0.6822703303362125,
    (40.0, 8): 3.203719780476998e-06,
}


@pytest.mark.parametrize(("degrees", "p_value"), CRITICAL)
def test_critical_values_are_those_published(degrees: int, p_value: float) -> None:
    critical = CRITICAL[degrees, p_value]  # rounded to three decimals
    assert find_p_value(critical - 0.0005, degrees) >= p_value
    assert find_p_value(critical + 0.0005, degrees) <= p_value


@pytest.mark.parametrize(("statistic", "degrees"), SCIPY)
def test_p_values_are_those_of_scipy(statistic: float, degrees: int) -> None:
    expected = SCIPY[statistic, degrees]
    assert math.isclose(find_p_value(statistic, degrees), expected, rel_tol=1e-12)


@given(x=st.floats(0, 600))
def test_closed_forms(x: float) -> None:
    # DLMF 8.4.4 for a = 1, 8.4.6 for a = 1/2, 8.4.10 for a whole number.
    assert math.isclose(upper_gamma(1, x), math.exp(-x), rel_tol=1e-12)
    assert math.isclose(upper_gamma(0.5, x), math.erfc(math.sqrt(x)), rel_tol=1e-11)
    terms = math.fsum(x**k / math.factorial(k) for k in range(7))
    assert math.isclose(upper_gamma(7, x), math.exp(-x) * terms, rel_tol=1e-11)


@given(a=st.floats(0.25, 400), x=st.floats(0, 1500), more=st.floats(0, 10))
def test_a_larger_statistic_is_no_likelier(a: float, x: float, more: float) -> None:
    assert 0 <= upper_gamma(a, x + more) <= upper_gamma(a, x) * (1 + 1e-11) <= 1 + 1e-11


@pytest.mark.parametrize(("a", "x"), [(0, 1), (-1, 1), (1, -1), (math.nan, 1), (1, math.nan)])
def test_what_is_out_of_range_is_refused(a: float, x: float) -> None:
    with pytest.raises(ValueError, match="allowed"):
        upper_gamma(a, x)
