"""The predecessor, project-manager-mcp 0.2.7, compared with the product: lock cycles and the board."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import run

from tests.bench import stock
from tests.bench.report import Goal, Section
from tests.bench.sampling import Rounds, Sample, interleave, measure
from tests.bench.servers import NotServing, Server, free_ports, product
from tests.bench.stock import Stock
from tests.bench.wire import Script, request

TASKS = 10_000
ATTEMPTS = 4
AGENTS = (1, 10, 50)
CYCLE, BOARD, PLAIN = "lock cycle", "board, 10,000 tasks", "the same, without gzip"
OURS, THEIRS = "project manager", "predecessor"

FILL = """
import sys
from task_manager.database import TaskDatabase
from task_manager.importer import import_project
epics = [{"name": f"epic {e}", "tasks": [{"name": f"task {e}-{t}", "description": "What is to be done, in a line or "
          "two. " * 3} for t in range(100)]} for e in range(int(sys.argv[2]) // 100)]
import_project(TaskDatabase(sys.argv[1]), {"projects": [{"name": "Work", "epics": epics}]})
"""


def measured(folder: Path, rounds: int, seconds: float, program: Path) -> Section:
    with ExitStack() as running:
        board = running.enter_context(product(folder, "board.db"))
        stock.create(board, TASKS)
        work = running.enter_context(product(folder, "work.db"))
        other = running.enter_context(start(folder, program))
        kept, fresh = Stock(work), count(1)
        variants = {
            f"{what}: {who}": partial(_slice, each, script, 2, seconds, 1)
            for what, script in ((BOARD, _boards), (PLAIN, _plain_boards))
            for who, each in ((THEIRS, other), (OURS, board))
        }
        for agents in AGENTS:
            theirs, ours = partial(lock_cycles, fresh=fresh), stock.lock_cycles(kept)
            variants[f"{CYCLE} @{agents}: {THEIRS}"] = partial(_slice, other, theirs, agents, seconds, 3)
            variants[f"{CYCLE} @{agents}: {OURS}"] = partial(_own_cycles, work, kept, ours, agents, seconds)
        found = interleave(variants, rounds)
    return _section(found)


def start(folder: Path, program: Path) -> Server:
    database = folder / "predecessor.db"
    run([program.with_name("python"), "-c", FILL, database, str(TASKS)], check=True, cwd=folder, capture_output=True)
    settings = {"AUTO_EXIT_ON_IDLE_SECONDS": "0", "DATABASE_PATH": str(database), "PYTHONPATH": ""}
    for _ in range(ATTEMPTS):
        (port,) = free_ports(1)
        ways = ["--port", str(port), "--mcp-transport", "sse", "--no-browser", "--db-path", str(database)]
        try:
            return Server(THEIRS, [str(program), *ways], port, folder, settings, "/healthz", timeout=10)
        except NotServing:  # it uses other ports when the next port is in use
            continue
    raise NotServing(f"{THEIRS} did not come up at {ATTEMPTS} pairs of ports")


def _slice(server: Server, script: stock.Scripts, agents: int, seconds: float, calls: int) -> Sample:
    return measure(server, server.port, [script(number) for number in range(agents)], seconds, calls=calls)


def _own_cycles(server: Server, kept: Stock, script: stock.Scripts, agents: int, seconds: float) -> Sample:
    kept.want(int(seconds * 4_000))
    return _slice(server, script, agents, seconds, 2)


def _plain_boards(_: int) -> Script:
    while True:
        yield request("GET", "/api/board/state")


def _boards(_: int) -> Script:
    """Request the board as a browser does."""
    while True:
        yield request("GET", "/api/board/state", headers=["accept-encoding: gzip"])


def lock_cycles(number: int, fresh: Iterator[int]) -> Script:
    """Lock a task, set DONE and unlock it, as a task is finished there. Skip tasks with an interrupted cycle."""
    agent = {"agent_id": f"agent-{number}"}
    task = next(fresh)
    while True:
        yield request("POST", f"/api/task/{task}/lock", {**agent, "duration_seconds": 300})
        yield request("POST", f"/api/task/{task}/status", {**agent, "status": "DONE"})
        yield request("DELETE", f"/api/task/{task}/lock", agent)


def _section(found: Rounds) -> Section:
    section = Section(
        "Against the predecessor",
        "project-manager-mcp 0.2.7 runs with `synchronous=NORMAL`, so a power failure can lose writes that it has "
        "confirmed. This service does not lose any. A lock cycle is lock, DONE and unlock there (3 requests), and lock "
        "and DONE here (2). The board is requested as by a browser, which accepts gzip. The tasks of this run compress "
        "well.",
        [
            "operation",
            "service",
            "operations/s",
            "server CPU us an operation",
            "p50 / p99 ms",
            "rate against the predecessor",
        ],
    )
    for what in (BOARD, PLAIN, *(f"{CYCLE} @{agents}" for agents in AGENTS)):
        for who in (THEIRS, OURS):
            name = f"{what}: {who}"
            ratio = "1" if who == THEIRS else str(found.ratio(name, (f"{what}: {THEIRS}",), lambda s: s.rate))
            section.rows.append([what, who, str(found.rate(name)), str(found.cpu(name)), found.latency(name), ratio])
    for what, limit in ((f"{CYCLE} @50", 5.0), (BOARD, 20.0)):
        ratio_of_rates = found.ratio(f"{what}: {OURS}", (f"{what}: {THEIRS}",), lambda s: s.rate)
        section.goals.append(Goal(f"{what}: operations/s / the predecessor's", limit, "at least", ratio_of_rates))
    return section
