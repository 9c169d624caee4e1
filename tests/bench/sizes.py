"""The cost of ten times the tasks: the board, a page of a list, a claim."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import stock
from tests.bench.report import Goal, Section
from tests.bench.sampling import Rounds, Sample, Spread, interleave, measure, number
from tests.bench.servers import Server, product
from tests.bench.wire import Script, ask, request

SIZES = (50, 1_000, 10_000)
CLIENTS = 4

KEPT, CHANGED, PAGE, CLAIM = "board", "board, changed each time", "list of 50", "claim and release"


def measured(folder: Path, rounds: int, seconds: float) -> Section:
    with ExitStack() as running:
        variants: dict[str, Callable[[], Sample]] = {}
        weights: dict[int, int] = {}
        for size in SIZES:
            server = running.enter_context(product(folder, f"{size}.db"))
            stock.create(server, size)
            weights[size] = len(ask(server.port, request("GET", "/api/board/state"))[0].body)
            for name, script, calls in scripts():
                variants[f"{name} @{size}"] = partial(slice_of, server, script, calls, seconds)
        found = interleave(variants, rounds)
    return _section(found, weights)


def slice_of(server: Server, script: Callable[[int], Script], calls: int, seconds: float) -> Sample:
    clients = 1 if script is _changed_boards else CLIENTS
    return measure(server, server.port, [script(number) for number in range(clients)], seconds, calls=calls)


def scripts() -> list[tuple[str, Callable[[int], Script], int]]:
    return [(KEPT, _boards, 1), (CHANGED, _changed_boards, 2), (PAGE, _pages, 1), (CLAIM, _claims, 2)]


def _boards(_: int) -> Script:
    while True:
        yield request("GET", "/api/board/state", headers=["accept-encoding: gzip"])


def _changed_boards(_: int) -> Script:
    """Change a task, then request the board, so that no cache can answer."""
    turn = 0
    while True:
        turn += 1
        yield request("PATCH", "/api/tasks/1", {"priority": turn % 5})
        yield request("GET", "/api/board/state", headers=["accept-encoding: gzip"])


def _pages(_: int) -> Script:
    while True:
        yield request("GET", "/api/tasks?limit=50")


def _claims(number: int) -> Script:
    agent = {"agent_id": f"agent-{number}"}
    while True:
        answer = yield request("POST", "/api/tasks/claim", agent)
        task = answer.json()["task"]
        assert isinstance(task, dict)
        yield request("DELETE", f"/api/tasks/{task['id']}/lock", agent)


def _section(found: Rounds, weights: dict[int, int]) -> Section:
    section = Section(
        "Ten times the tasks",
        f"{CLIENTS} connections; one for the changed board, where each operation is a `PATCH` of a task and then "
        "`GET /api/board/state`. `list of 50` is `GET /api/tasks?limit=50`, with its total.",
        ["what", "tasks", "operations/s", "server CPU us an operation", "p50 / p99 ms", "KB an answer"],
    )
    for name in (KEPT, CHANGED, PAGE, CLAIM):
        for size in SIZES:
            variant = f"{name} @{size}"
            weight = number(weights[size] / 1000) if name in (KEPT, CHANGED) else "-"
            section.rows.append(
                [name, f"{size:,}", str(found.rate(variant)), str(found.cpu(variant)), found.latency(variant), weight]
            )
    for name in (CLAIM, PAGE):
        ratio = _growth(found, name)
        section.goals.append(Goal(f"{name}: server CPU with 10,000 tasks / with 1,000", 1.3, "at most", ratio))
    return section


def _growth(found: Rounds, name: str) -> Spread:
    return found.ratio(f"{name} @{SIZES[2]}", (f"{name} @{SIZES[1]}",), lambda sample: sample.cpu)
