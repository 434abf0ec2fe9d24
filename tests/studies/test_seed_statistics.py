import math
import statistics

import pytest
from scipy import stats

from facegeo.studies.seed_statistics import Difference, Spread, difference, spread


def test_mean_and_sample_standard_deviation() -> None:
    assert spread([2.0, 4.0, 9.0]) == Spread(3, 5.0, pytest.approx(math.sqrt(13)))  # 26 / (3 - 1)


def test_one_seed_has_no_spread_and_none_has_no_mean() -> None:
    assert spread([2.5]) == Spread(1, 2.5, None)
    assert spread([]) == Spread(0, None, None)


def test_a_mean_with_nan_in_it_is_nan() -> None:
    found = spread([1.0, math.nan])
    assert found.mean is not None
    assert math.isnan(found.mean)


def test_paired_test_by_hand() -> None:
    # Differences 1, 2, 3: t = 2 / (1 / sqrt(3)) = 3.4641 with 2 degrees of freedom, for which
    # p = 1 - t / sqrt(t^2 + 2) = 1 - sqrt(12 / 14).
    found = difference({0: 2.0, 1: 4.0, 2: 6.0}, {0: 1.0, 1: 2.0, 2: 3.0})
    assert found == Difference(3, 2.0, pytest.approx(1 - math.sqrt(12 / 14)))


def test_paired_test_is_that_of_one_sample_of_differences() -> None:
    ours = {0: 1.61, 1: 1.55, 2: 1.59, 3: 1.70}
    theirs = {0: 1.52, 1: 1.57, 2: 1.49, 3: 1.60}
    apart = [ours[seed] - theirs[seed] for seed in ours]
    found = difference(ours, theirs)
    assert found is not None
    assert found.mean == pytest.approx(statistics.fmean(apart))
    assert found.p == pytest.approx(stats.ttest_1samp(apart, 0.0).pvalue)


def test_only_seeds_that_both_have_count_whatever_their_order() -> None:
    found = difference({3: 9.0, 1: 4.0, 0: 2.0}, {0: 1.0, 1: 2.0, 2: 100.0})
    assert found == Difference(2, 1.5, pytest.approx(stats.ttest_1samp([1.0, 2.0], 0).pvalue))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({0: 2.0}, {0: 1.0, 1: 2.0}),
        ({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}),
        ({0: 0.3, 1: 0.4}, {0: 0.2, 1: 0.3}),  # equal but for rounding
        ({0: math.nan, 1: 2.0}, {0: 1.0, 1: 1.0}),
    ],
    ids=["one-seed", "no-difference", "equal-differences", "nan"],
)
def test_where_there_is_nothing_to_judge_by_there_is_no_p(
    ours: dict[int, float], theirs: dict[int, float]
) -> None:
    found = difference(ours, theirs)
    assert found is not None
    assert found.p is None


def test_without_a_common_seed_there_is_no_difference() -> None:
    assert difference({0: 1.0}, {1: 1.0}) is None
