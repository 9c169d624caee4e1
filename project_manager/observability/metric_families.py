"""Families of metrics that cost less per update than those of the Prometheus library."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


@dataclass(frozen=True, slots=True)
class Series:
    """The name, help text and labels of a metric family."""

    name: str
    doc: str
    labels: tuple[str, ...]


class LabelledCounter:
    """A counter with one label that caches its children, because finding one costs more than counting."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[str, Callable[[], None]] = {}

    def __call__(self, label: str) -> None:
        increment = self._children.get(label)
        if increment is None:
            increment = self._children[label] = self._counter.labels(label).inc
        increment()


class TimedFamily(Collector):
    """A counter, and a histogram over the first of its labels, updated by one call.

    The metric families are built at each scrape. Every request counts, and counting in the library's own objects takes
    five times as long.
    """

    def __init__(self, counted: Series | None, took: Series, bounds: tuple[float, ...]) -> None:
        self._counted = counted
        self._took = took
        self._bounds = bounds
        self._names = [*(floatToGoString(bound) for bound in bounds), "+Inf"]  # type: ignore[no-untyped-call]
        self._tallies: dict[tuple[str, ...], _Buckets] = {}
        self._lock = Lock()

    def __call__(self, labels: tuple[str, ...], seconds: float) -> None:
        place = bisect_left(self._bounds, seconds)
        with self._lock:
            tally = self._tallies.get(labels)
            if tally is None:
                tally = self._tallies[labels] = _Buckets(len(self._names))
            tally.times[place] += 1
            tally.seconds += seconds

    def mean(self) -> float:
        """Return the mean duration in seconds, or 0 when nothing was recorded yet."""
        with self._lock:
            count = sum(sum(tally.times) for tally in self._tallies.values())
            return sum(tally.seconds for tally in self._tallies.values()) / count if count else 0.0

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            times = {labels: sum(tally.times) for labels, tally in self._tallies.items()}
            took = self._by_first_labels()
        if self._counted is not None:
            counter = CounterMetricFamily(self._counted.name, self._counted.doc, labels=self._counted.labels)
            for labels, count in times.items():
                counter.add_metric(labels, count)
            yield counter
        histogram = HistogramMetricFamily(self._took.name, self._took.doc, labels=self._took.labels)
        for labels, tally in took.items():
            buckets = list(zip(self._names, accumulate(tally.times), strict=True))
            histogram.add_metric(labels, buckets, tally.seconds)
        yield histogram

    def _by_first_labels(self) -> dict[tuple[str, ...], _Buckets]:
        found: dict[tuple[str, ...], _Buckets] = {}
        for labels, tally in self._tallies.items():
            found.setdefault(labels[: len(self._took.labels)], _Buckets(len(self._names))).add(tally)
        return found


class _Buckets:
    """A histogram. `times` has the count of each bucket, the last without a bound. `seconds` is the sum of values."""

    __slots__ = ("seconds", "times")

    def __init__(self, buckets: int) -> None:
        self.times = [0] * buckets
        self.seconds = 0.0

    def add(self, other: _Buckets) -> None:
        self.times = [mine + theirs for mine, theirs in zip(self.times, other.times, strict=True)]
        self.seconds += other.seconds
