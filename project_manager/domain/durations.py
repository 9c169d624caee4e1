"""Histograms of durations that can be merged, with quantiles.

A bucket is 2^(1/6) = 1.12 times as wide as the one before it, from one second to a year. The quantile of a histogram is
the geometric middle of its bucket, so it differs from the exact one by at most 6 %, or by half a second below a second.
"""

from bisect import bisect_right
from collections.abc import Iterable
from math import ceil, sqrt

PER_DOUBLING = 6
DOUBLINGS = 25
"""2^25 seconds are 388 days. A longer duration is in the last bucket."""
BOUNDS = tuple(round(1000 * 2 ** (step / PER_DOUBLING)) for step in range(PER_DOUBLING * DOUBLINGS + 1))
"""The lower bounds of the buckets from 1 on, in milliseconds. Bucket 0 is for less than a second."""

Histogram = dict[int, int]
"""The number of durations by bucket."""


def add(histogram: Histogram, duration: int) -> None:
    """Add a duration in milliseconds."""
    bucket = bisect_right(BOUNDS, duration)
    histogram[bucket] = histogram.get(bucket, 0) + 1


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Return the histogram of all durations together."""
    found: Histogram = {}
    for histogram in histograms:
        for bucket, number in histogram.items():
            found[bucket] = found.get(bucket, 0) + number
    return found


def quantile_seconds(histogram: Histogram, share: float) -> float | None:
    """Return the duration in seconds that this share of the durations does not exceed, or None without any."""
    rest = ceil(sum(histogram.values()) * share)
    for bucket, number in sorted(histogram.items()):
        rest -= number
        if rest <= 0:
            return _middle_seconds(bucket)
    return None


def _middle_seconds(bucket: int) -> float:
    if bucket == 0:
        return 0.5
    lower = BOUNDS[bucket - 1]
    upper = BOUNDS[min(bucket, len(BOUNDS) - 1)]
    return round(sqrt(lower * upper) / 1000, 1)
