"""Delivery of events to a thousand WebSockets, with a client that does not read, and to another process."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.bench import stock
from tests.bench.listeners import Listener, Subscribers
from tests.bench.report import Goal, Section
from tests.bench.sampling import Rounds, Sample, Spread, interleave, number, spread
from tests.bench.servers import Server, product
from tests.bench.wire import ask, request

SUBSCRIBERS = 1_000
FILLING = 16_000
FANNED, STALLED, ALONE = "1,000", "1,000, and one that does not read", "none"


def measured(folder: Path, rounds: int, events: int) -> list[Section]:
    return [_fan_out(folder, rounds, events), other_process(folder, events * 4)]


def _fan_out(folder: Path, rounds: int, events: int) -> Section:
    with ExitStack() as running:
        server = running.enter_context(product(folder))
        stock.create(server, 1, "Watched")
        stock.create(server, 1, "Elsewhere")
        cut: list[bool] = []
        variants = {
            ALONE: partial(_slice, server, [], events),
            FANNED: partial(_with_crowd, server, events, cut, stalled=False),
            STALLED: partial(_with_crowd, server, events, cut, stalled=True),
        }
        found = interleave(variants, rounds)
    return _fan_out_section(found, cut)


def _with_crowd(server: Server, events: int, cut: list[bool], *, stalled: bool) -> Sample:
    with ExitStack() as open_now:
        crowd = Subscribers([Listener(server.port, "?project_id=1") for _ in range(SUBSCRIBERS)])
        open_now.callback(crowd.close)
        crowd.settle(0.3)
        if stalled:
            open_now.enter_context(_stuck(server))
        sample = _slice(server, [crowd], events)
        if stalled:
            cut.append(_dropped(server) > 0)
        return sample


@contextmanager
def _stuck(server: Server) -> Iterator[None]:
    """Open a subscriber of all events that never reads, and fill its socket."""
    stuck = Listener(server.port, receive_buffer=2048)
    stock.create(server, FILLING, "Elsewhere")
    try:
        yield
    finally:
        stuck.close()


def _slice(server: Server, crowds: list[Subscribers], events: int) -> Sample:
    """Send one event at a time and wait for all listeners. Begin when earlier listeners are disconnected."""
    _wait_until_idle(server)
    before = server.cpu_seconds()
    began = time.perf_counter()
    delays: list[float] = []
    for turn in range(events):
        since = time.perf_counter()
        ask(server.port, request("PATCH", "/api/tasks/1", {"priority": turn % 5}))
        for crowd in crowds:
            delays += crowd.collect(1, since)
    took = time.perf_counter() - began
    cpu = server.cpu_seconds() - before
    delays.sort()
    p50, p99 = (delays[len(delays) // 2], delays[len(delays) * 99 // 100]) if delays else (0.0, 0.0)
    return Sample(events / took, cpu / events * 1e6, p50 * 1000, p99 * 1000)


def _wait_until_idle(server: Server) -> None:
    for _ in range(50):
        before = server.cpu_seconds()
        time.sleep(0.1)
        if server.cpu_seconds() - before < 0.005:
            return


def _dropped(server: Server) -> float:
    (answer,) = ask(server.port, request("GET", "/metrics"))
    for line in answer.body.decode().splitlines():
        if line.startswith("pm_subscribers_dropped_total"):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def _fan_out_section(found: Rounds, cut: list[bool]) -> Section:
    each = _per_frame(found, FANNED)
    section = Section(
        "Fan-out to WebSockets",
        f"One change at a time, received by {SUBSCRIBERS:,} clients of `/ws/updates` in another process. CPU for each "
        "is the cost of the event for the server beyond the cost of the same change without clients. The client that "
        f"does not read was sent {FILLING:,} other events before, so that its socket is full.",
        ["clients", "events/s", "server CPU us an event", "CPU us for each", "first to last, p50 / p99 ms"],
    )
    for name in (ALONE, FANNED, STALLED):
        per_frame = "-" if name == ALONE else str(_per_frame(found, name))
        latency = "-" if name == ALONE else found.latency(name)
        section.rows.append([name, str(found.rate(name)), str(found.cpu(name)), per_frame, latency])
    slower = found.ratio(STALLED, (FANNED,), lambda sample: sample.p99)
    section.goals = [
        Goal(f"CPU of one event for each of {SUBSCRIBERS:,} WebSockets", 12, "at most", each, "us"),
        Goal("p99 of 1,000 WebSockets with a client that does not read / without it", 1.1, "at most", slower),
    ]
    return section


def _per_frame(found: Rounds, name: str) -> Spread:
    with_all, alone = found.cpu(name), found.cpu(ALONE)
    return Spread(*((figure - alone.median) / SUBSCRIBERS for figure in (with_all.median, with_all.low, with_all.high)))


def other_process(folder: Path, events: int, **settings: str) -> Section:
    """Make changes through one instance and observe them at a subscriber of another one on the same database."""
    with ExitStack() as running:
        first = running.enter_context(product(folder, "shared.db", **settings))
        second = running.enter_context(product(folder, "shared.db", **settings))
        stock.create(first, 1)
        crowd = Subscribers([Listener(second.port)])
        running.callback(crowd.close)
        crowd.settle(0.5)
        delays = []
        for turn in range(events):
            time.sleep(random.uniform(0.001, 0.03))
            ask(first.port, request("PATCH", "/api/tasks/1", {"priority": turn % 5}))
            delays += [delay * 1000 for delay in crowd.collect(1, time.perf_counter())]
    delays.sort()
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    section = Section(
        "Events of another process",
        f"{events} changes through one instance, from its answer to the frame of a subscriber of a second instance "
        "on the same database, both idle otherwise.",
        ["p50 ms", "p99 ms", "most ms"],
        [[number(p50), number(p99), number(delays[-1])]],
    )
    section.goals = [Goal("an event to another process's subscriber, p99", 100, "at most", spread([p99]), "ms")]
    return section
