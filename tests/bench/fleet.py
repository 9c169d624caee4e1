"""A fleet at its real pace: agents that claim, renew, log and complete, and dashboards that get all events.

At the real pace requests come one at a time. So the agents take turns without a pause, and a cycle costs the same.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import stock
from tests.bench.listeners import Listener, Subscribers
from tests.bench.report import Section
from tests.bench.sampling import Spread, number, spread
from tests.bench.servers import Server, product
from tests.bench.wire import Response, ask, request

AGENTS = 200
DASHBOARDS = 20
CYCLE_SECONDS = 600
RENEWALS, LOGS = 3, 5
IDLE_SECONDS = 5.0


def measured(folder: Path, rounds: int, cycles: int) -> Section:
    """Drive this number of cycles in each round, with the dashboards connected."""
    with product(folder) as server:
        stock.create(server, rounds * cycles + AGENTS)
        dashboards = Subscribers([Listener(server.port) for _ in range(DASHBOARDS)])
        try:
            dashboards.settle(1.0)
            idle = [_idle_cores(server, dashboards) for _ in range(2)]
            costs = [_cost(server, dashboards, turn * cycles, cycles) for turn in range(rounds)]
            memory = server.rss_mb()
        finally:
            dashboards.close()
    return _section(spread(idle), spread(costs), memory)


def _idle_cores(server: Server, dashboards: Subscribers) -> float:
    before, began = server.cpu_seconds(), time.perf_counter()
    dashboards.settle(IDLE_SECONDS)
    return (server.cpu_seconds() - before) / (time.perf_counter() - began)


def _cost(server: Server, dashboards: Subscribers, first: int, cycles: int) -> float:
    """Return the server CPU of a cycle in ms."""
    before = server.cpu_seconds()
    for turn in range(first, first + cycles):
        _work(server, f"agent-{turn % AGENTS}")
        dashboards.settle(0.001)
    dashboards.settle(0.5)
    return (server.cpu_seconds() - before) / cycles * 1000


def _work(server: Server, agent: str) -> None:
    """Do all requests of one task on one connection."""
    body = {"agent_id": agent}
    (claimed,) = _sent(server, request("POST", "/api/tasks/claim", body))
    task = claimed.json()["task"]
    assert isinstance(task, dict)
    path = f"/api/tasks/{task['id']}"
    entry = {**body, "body": "A line about the work."}
    _sent(
        server,
        *[request("PUT", f"{path}/lock", body)] * RENEWALS,
        *[request("POST", f"{path}/log", entry)] * LOGS,
        request("POST", f"{path}/status", {**body, "status": "DONE"}),
    )


def _sent(server: Server, *requests: bytes) -> Sequence[Response]:
    answers = ask(server.port, *requests)
    refused = [answer for answer in answers if answer.status >= 300]
    if refused:
        raise RuntimeError(f"the service refused a request of the fleet: {refused[0].body[:300]!r}")
    return answers


def _section(idle: Spread, cost: Spread, memory: float) -> Section:
    pace = AGENTS / CYCLE_SECONDS
    work = _scaled(cost, pace / 1000)
    total = Spread(*(one + other for one, other in zip(_figures(idle), _figures(work), strict=True)))
    section = Section(
        "A fleet",
        f"{AGENTS} agents and {DASHBOARDS} WebSockets that get all events. A cycle is a claim, {RENEWALS} renewals, "
        f"{LOGS} log entries and DONE: {RENEWALS + LOGS + 2} requests. At its real pace each agent has one cycle in "
        f"{CYCLE_SECONDS // 60} minutes, so that requests come one at a time, as they do here without the pauses.",
        ["measure", "value"],
    )
    section.rows = [
        ["server CPU of a cycle, ms", str(cost)],
        ["cores, idle with the WebSockets", str(idle)],
        [f"cores, {AGENTS} agents at their real pace", str(work)],
        ["cores, both", str(total)],
        ["resident memory, MB", number(memory)],
        ["agents for one core at this pace", number((1 - idle.median) / cost.median * 1000 * CYCLE_SECONDS)],
    ]
    return section


def _figures(found: Spread) -> tuple[float, float, float]:
    return found.median, found.low, found.high


def _scaled(found: Spread, factor: float) -> Spread:
    return Spread(*(figure * factor for figure in _figures(found)))
