"""How likely each gap is, by itself and together with another gap of its row.

Gaps of a row that must fit into a width depend on each other, so their counts vary less than
independent ones would. The statistic is (O - E)' C^-1 (O - E), with the exact covariance C of the
counts; for independent gaps of one range it is Pearson's. See K. V. Mardia, J. T. Kent, J. M.
Bibby, "Multivariate Analysis", 1979, theorem 2.5.2 for its distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.compose.gaps import count_gaps
from mnistseq_cli.inspection.chi_square import find_p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_EXPECTED = 5.0  # in a bin, as Cochran's rule has it
_LEAST_VARIANCE = 1e-9  # of the largest: less is rounding


class GapOdds:
    """Expected counts of gaps, and their covariance.

    Parameters
    ----------
    low, high : int
        The smallest and the largest gap there can be.

    Attributes
    ----------
    expected : ndarray of float64, shape (high - low + 1,)
    covariance : ndarray of float64, shape (high - low + 1, high - low + 1)
    """

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self.expected = np.zeros(high - low + 1)
        self.covariance = np.zeros((high - low + 1, high - low + 1))

    def add_free(self, lowest: int, size: int, count: int) -> None:
        """Add gaps that are drawn on their own, from `size` values."""
        inside = slice(lowest - self._low, lowest - self._low + size)
        self.expected[inside] += count / size
        self.covariance[inside, inside] += count * (np.eye(size) / size - 1 / size**2)

    def add_bound(self, lowest: int, size: int, n_gaps: int, slack_px: int, count: int) -> None:
        """Add rows of equally large gaps that may not add up to more than the slack.

        Raises
        ------
        LayoutError
            The combinations are too many to count.
        """
        table = count_gaps((size,) * n_gaps)
        total = table.ways(0, slack_px)
        alone = np.array([table.ways(1, slack_px - gap) / total for gap in range(size)])
        inside = slice(lowest - self._low, lowest - self._low + size)
        covariance = n_gaps * np.diag(alone) - n_gaps**2 * np.outer(alone, alone)
        if n_gaps > 1:
            sums = [table.ways(2, slack_px - both) / total for both in range(2 * size - 1)]
            both = np.add.outer(np.arange(size), np.arange(size))
            covariance += n_gaps * (n_gaps - 1) * np.array(sums)[both]
        self.expected[inside] += count * n_gaps * alone
        self.covariance[inside, inside] += count * covariance

    def compare(self, observed: NDArray[np.int64]) -> tuple[float, int, float] | None:
        """Compare with counts: statistic, degrees of freedom and p-value.

        Neighbouring gaps are counted together until at least `LEAST_EXPECTED` are expected. None
        where too few are left to compare.
        """
        bins = self._gather()
        difference = bins @ (observed - self.expected)
        variances, axes = np.linalg.eigh(bins @ self.covariance @ bins.T)
        varies = variances > _LEAST_VARIANCE * max(variances.max(initial=0.0), LEAST_EXPECTED)
        if not varies.any():
            return None
        statistic = float(((axes[:, varies].T @ difference) ** 2 / variances[varies]).sum())
        degrees = int(varies.sum())
        return statistic, degrees, find_p_value(statistic, degrees)

    def _gather(self) -> NDArray[np.float64]:
        """Give which gaps are counted together, shape (bins, gaps)."""
        bin_of, gathered, n_bins = [], 0.0, 0
        for expected in self.expected.tolist():
            bin_of.append(n_bins)
            gathered += expected
            if gathered >= LEAST_EXPECTED:
                gathered, n_bins = 0.0, n_bins + 1
        last = max(0, n_bins - 1)  # what is left at the end is too little for a bin of its own
        is_in: NDArray[np.bool_] = np.arange(last + 1)[:, None] == np.minimum(bin_of, last)
        return is_in.astype(np.float64)
