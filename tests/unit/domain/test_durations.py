"""Histograms of durations: the error of a quantile, and the sum of several histograms."""

from math import ceil
from random import Random

import pytest

from project_manager.domain.durations import Histogram, add, merged, quantile_seconds

SHARES = (0.05, 0.5, 0.95, 1.0)


def histogram(durations: list[int]) -> Histogram:
    found: Histogram = {}
    for duration in durations:
        add(found, duration)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_quantile_differs_from_the_exact_one_by_six_percent_or_half_a_second(seed: int) -> None:
    random = Random(seed)
    durations = sorted(int(2 ** random.uniform(0, 34)) for _ in range(random.randrange(1, 500)))
    for share in SHARES:
        exact = durations[ceil(len(durations) * share) - 1] / 1000
        found = quantile_seconds(histogram(durations), share)
        assert found == pytest.approx(exact, rel=0.06, abs=0.5)


def test_the_histogram_of_a_range_is_the_sum_of_those_of_its_hours() -> None:
    random = Random(1)
    hours = [[random.randrange(10_000_000) for _ in range(50)] for _ in range(24)]
    assert merged(map(histogram, hours)) == histogram([duration for hour in hours for duration in hour])


def test_no_duration_has_no_quantile_and_a_very_long_one_is_at_least_a_year() -> None:
    assert quantile_seconds({}, 0.5) is None
    longest = quantile_seconds(histogram([2**62]), 0.5)
    assert longest is not None
    assert longest > 365 * 24 * 3600
