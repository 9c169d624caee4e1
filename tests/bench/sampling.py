"""Samples of interleaved rounds, their medians and ratios."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.servers import Server
from tests.bench.wire import Load, Script, drive


@dataclass(frozen=True)
class Sample:
    """One slice of one variant. Latencies are in ms.

    `cpu` is the CPU time of the service in us per operation, and `database_cpu` that of a database server.
    """

    rate: float
    cpu: float
    p50: float = 0.0
    p99: float = 0.0
    answers: int = 0
    database_cpu: float = 0.0


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest value of the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} [{number(self.low)}..{number(self.high)}]"


def number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.4f}"


def spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


class Rounds:
    """The samples of each variant, by round."""

    def __init__(self) -> None:
        self._samples: dict[str, list[Sample]] = {}

    def add(self, name: str, sample: Sample) -> None:
        self._samples.setdefault(name, []).append(sample)

    def of(self, name: str, figure: Callable[[Sample], float]) -> Spread:
        return spread([figure(sample) for sample in self._samples[name]])

    def rate(self, name: str) -> Spread:
        return self.of(name, lambda sample: sample.rate)

    def cpu(self, name: str) -> Spread:
        return self.of(name, lambda sample: sample.cpu)

    def latency(self, name: str) -> str:
        return f"{number(self.of(name, lambda s: s.p50).median)} / {number(self.of(name, lambda s: s.p99).median)}"

    def ratio(self, over: str, under: tuple[str, ...], figure: Callable[[Sample], float]) -> Spread:
        """Return the ratio of `over` to the sum of `under`, computed for each round."""
        below = zip(*(self._samples[name] for name in under), strict=True)
        pairs = zip(self._samples[over], below, strict=True)
        return spread([figure(sample) / sum(map(figure, group)) for sample, group in pairs])

    def __contains__(self, name: str) -> bool:
        return name in self._samples


def interleave(variants: Mapping[str, Callable[[], Sample]], rounds: int) -> Rounds:
    """Run every variant once to warm it up, then all variants alternately for `rounds` rounds."""
    for run in variants.values():
        run()
    found = Rounds()
    for _ in range(rounds):
        for name, run in variants.items():
            found.add(name, run())
    return found


def measure(server: Server, port: int, scripts: list[Script], seconds: float, *, calls: int = 1) -> Sample:
    """Drive the scripts and read the CPU time of the server. An operation consists of `calls` requests."""
    before = server.cpu_seconds()
    load = drive(port, scripts, seconds)
    cpu = server.cpu_seconds() - before
    refuse_faults(server, load)
    return sample_of(load, load.answers / calls, cpu)


def sample_of(load: Load, operations: float, cpu: float, database: float = 0.0) -> Sample:
    """Return the figures of a load. `cpu` and `database` are CPU seconds of the service and of the database server."""
    ordered = sorted(load.latencies)
    return Sample(
        operations / load.seconds,
        cpu / operations * 1e6,
        ordered[len(ordered) // 2] * 1000,
        ordered[len(ordered) * 99 // 100] * 1000,
        load.answers,
        database / operations * 1e6,
    )


def refuse_faults(server: Server, load: Load) -> None:
    """Raise when a request failed, because the figure is then invalid."""
    failed = {status: count for status, count in load.statuses.items() if status >= 300}
    if failed:
        raise RuntimeError(f"{server.name} refused requests while it was measured: {failed}")


def calibration() -> float:
    """Return the milliseconds of a fixed Python loop: the current speed of this machine."""
    began = time.perf_counter()
    total = 0
    for value in range(200_000):
        total += value * value % 7
    return (time.perf_counter() - began) * 1000
