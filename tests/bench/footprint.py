"""CPU of a start, and memory."""

from contextlib import ExitStack
from pathlib import Path

from tests.bench import stock
from tests.bench.listeners import Listener, Subscribers
from tests.bench.report import Goal, Section
from tests.bench.sampling import spread
from tests.bench.servers import product
from tests.bench.wire import ask, request

SUBSCRIBERS = 1_000


def measured(folder: Path, rounds: int) -> Section:
    fresh, again, idle, with_mcp, crowded = [], [], [], [], []
    for turn in range(rounds):
        name = f"start-{turn}.db"
        with product(folder, name) as server:
            fresh.append(server.cpu_until_healthy)
        with product(folder, name) as server, ExitStack() as open_now:
            again.append(server.cpu_until_healthy)
            stock.create(server, 1)
            idle.append(server.rss_mb())
            stock.handshake_claims(0, server.mcp_port)  # opens a session, which loads MCP
            with_mcp.append(server.rss_mb())
            crowd = Subscribers([Listener(server.port) for _ in range(SUBSCRIBERS)])
            open_now.callback(crowd.close)
            crowd.settle(0.3)
            for priority in range(5):
                ask(server.port, request("PATCH", "/api/tasks/1", {"priority": (priority + 1) % 5}))
                crowd.settle(0.1)
            crowded.append(server.rss_mb())
    section = Section(
        "Start and memory",
        "CPU of the process until the first 200 of `/healthz`. Resident memory of the process in MB (2^20 bytes): idle "
        "after one REST request, after the first MCP request, which loads MCP, and then with 1,000 WebSockets that got "
        "events.",
        [
            "start, new database, CPU s",
            "start, existing database, CPU s",
            "RSS idle MB",
            "RSS with MCP MB",
            "RSS with 1,000 WebSockets MB",
        ],
        [[str(spread(each)) for each in (fresh, again, idle, with_mcp, crowded)]],
    )
    section.goals = [
        Goal("CPU from the start to the first healthy response", 0.7, "at most", spread(again), "s"),
        Goal("RSS idle", 90, "at most", spread(idle), "MB"),
        Goal("RSS with 1,000 WebSockets", 160, "at most", spread(crowded), "MB"),
    ]
    return section
