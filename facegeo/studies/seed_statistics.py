"""Mean, spread and paired test over seeds: numbers in, numbers out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What some seeds give.

    Attributes:
        n: How many.
        mean: Their mean; None of none.
        std: Sample standard deviation, over n - 1; None of fewer than two.
    """

    n: int
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class Difference:
    """One variant less another, over the seeds that both have.

    Attributes:
        n: How many seeds both have.
        mean: Mean of the differences.
        p: Of a two-sided paired t-test; None where there is nothing to judge by: fewer than two
            seeds, differences all equal, or not all finite.
    """

    n: int
    mean: float
    p: float | None


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation; not finite values make both NaN.

    >>> spread([2.0, 4.0])
    Spread(n=2, mean=3.0, std=1.4142135623730951)
    """
    if not values:
        return Spread(0, None, None)
    if not all(map(math.isfinite, values)):
        return Spread(len(values), math.nan, math.nan if len(values) > 1 else None)
    std = statistics.stdev(values) if len(values) > 1 else None
    return Spread(len(values), statistics.fmean(values), std)


def difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """Compare two variants seed by seed.

    Args:
        values: By seed.
        baseline: What is subtracted, by seed.

    Returns:
        None if they have no seed in common.
    """
    common = sorted(values.keys() & baseline.keys())
    if not common:
        return None
    ours, theirs = [values[seed] for seed in common], [baseline[seed] for seed in common]
    apart = [one - other for one, other in zip(ours, theirs, strict=True)]
    if not all(map(math.isfinite, apart)):
        return Difference(len(common), math.nan, None)
    mean = statistics.fmean(apart)
    # Equal differences, but for the rounding of a subtraction, have no spread to test against.
    rounding = 1e-12 * max(map(abs, (*ours, *theirs)))
    if max(apart) - min(apart) <= rounding:
        return Difference(len(common), mean, None)
    from scipy.stats import ttest_rel  # slow to import: here, not where a training starts

    return Difference(len(common), mean, float(ttest_rel(ours, theirs).pvalue))
