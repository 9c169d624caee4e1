"""The cost of each operation as the number of tasks grows: claims, reads, search, events, and an unchanged plan."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from project_manager.store import revisions
from tests.bench import large_database
from tests.bench.listeners import Listener, Subscribers
from tests.bench.plot import Plot, Series, line_plot
from tests.bench.report import Goal, Section
from tests.bench.sampling import Rounds, Sample, Spread, interleave, measure
from tests.bench.servers import Server, product
from tests.bench.wire import Script, ask, request

DEFAULT_SIZES = (1_000, 10_000)
ALL_SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLIENTS = 4
SUBSCRIBERS = 10
LIMIT = 1.3

KEPT, CHANGED, PAGE = "board", "board, changed each time", "list of 50"
LIVE = f"event to {SUBSCRIBERS} WebSockets"


@dataclass(frozen=True)
class Operation:
    """A measured operation: the script of each client, and the requests of one operation.

    `most_tasks` is the largest database for it. A board has all tasks, so it cannot have the same cost at each size.
    """

    name: str
    script: Callable[[int], Script]
    calls: int = 1
    clients: int = CLIENTS
    most_tasks: int | None = None


def measured(
    folder: Path, databases: Path, rounds: int, seconds: float, sizes: Sequence[int], *, drawn: bool = False
) -> Section:
    """Measure all operations on one database of each size. Existing databases in `databases` are used again."""
    databases.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        variants: dict[str, Callable[[], Sample]] = {}
        for size in sizes:
            path = databases / f"{size}-tasks-schema-{revisions.head()}.db"
            large_database.ensure(path, size, partial(_show_progress, f"{size:,} tasks"))
            server = running.enter_context(product(folder, str(path)))
            variants |= _variants(server, size, seconds)
        found = interleave(variants, rounds)
    section = _section(found, sizes)
    if drawn:
        section.plots.append(_plot(found, sizes))
    return section


def _show_progress(what: str, step: str, done: int, of: int) -> None:
    print(f"\r{what}: {step} {done:,} of {of:,}", end="\n" if done == of else "", file=sys.stderr, flush=True)


def _variants(server: Server, size: int, seconds: float) -> dict[str, Callable[[], Sample]]:
    variants: dict[str, Callable[[], Sample]] = {
        f"{operation.name} @{size}": partial(slice_of, server, operation, seconds)
        for operation in OPERATIONS
        if operation.most_tasks is None or size <= operation.most_tasks
    }
    variants[f"{LIVE} @{size}"] = partial(_live_slice, server, seconds)
    return variants


def slice_of(server: Server, operation: Operation, seconds: float) -> Sample:
    scripts = [operation.script(number) for number in range(operation.clients)]
    return measure(server, server.port, scripts, seconds, calls=operation.calls)


def _live_slice(server: Server, seconds: float) -> Sample:
    """Change a task and wait until each of the subscribers has the event, again and again."""
    crowd = Subscribers([Listener(server.port) for _ in range(SUBSCRIBERS)])
    try:
        crowd.settle(0.2)
        before, began, events = server.cpu_seconds(), time.perf_counter(), 0
        delays: list[float] = []
        while time.perf_counter() - began < seconds:
            since = time.perf_counter()
            ask(server.port, _change(events))
            delays += crowd.collect(1, since)
            events += 1
        took, cpu = time.perf_counter() - began, server.cpu_seconds() - before
    finally:
        crowd.close()
    delays.sort()
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    return Sample(events / took, cpu / events * 1e6, p50 * 1000, p99 * 1000)


def _change(turn: int) -> bytes:
    return request("PATCH", "/api/tasks/1", {"priority": turn % 5})


def _boards(_: int) -> Script:
    while True:
        yield request("GET", "/api/board/state", headers=["accept-encoding: gzip"])


def _changed_boards(_: int) -> Script:
    """Change a task, then request the board, so that no cache can answer."""
    turn = 0
    while True:
        turn += 1
        yield _change(turn)
        yield request("GET", "/api/board/state", headers=["accept-encoding: gzip"])


def _gets(path: str) -> Callable[[int], Script]:
    def script(_: int) -> Script:
        while True:
            yield request("GET", path)

    return script


def _tasks(number: int) -> Script:
    task = number
    while True:
        task = task % 100 + 1
        yield request("GET", f"/api/tasks/{task}")


def _newest_events(_: int) -> Script:
    answer = yield request("GET", "/api/events?since=0&limit=1")
    head = answer.json()["head"]
    assert isinstance(head, int)
    while True:
        yield request("GET", f"/api/events?since={head - 50}&limit=50")


def _claims(**filters: object) -> Callable[[int], Script]:
    def script(number: int) -> Script:
        agent = {"agent_id": f"agent-{number}"}
        while True:
            answer = yield request("POST", "/api/tasks/claim", {**agent, **filters})
            task = answer.json()["task"]
            assert isinstance(task, dict)
            yield request("DELETE", f"/api/tasks/{task['id']}/lock", agent)

    return script


def _hopeless_claims(number: int) -> Script:
    while True:
        answer = yield request("POST", "/api/tasks/claim", {"agent_id": f"agent-{number}", "labels": ["of no task"]})
        assert answer.json()["task"] is None


def _unchanged_plans(_: int) -> Script:
    names = "".join(f"  - name: Step {number}\n    labels: [plan]\n" for number in range(20))
    plan = {"document": f"projects:\n- name: Unchanged plan\n  tasks:\n{names}"}
    while True:
        yield request("POST", "/api/import", plan)


CHANGED_BOARDS = Operation(CHANGED, _changed_boards, calls=2, clients=1, most_tasks=10_000)
PAGES = Operation(PAGE, _gets("/api/tasks?limit=50"))
OPERATIONS = (
    Operation("claim and release", _claims(), calls=2),
    Operation("claim and release in a project", _claims(project_id=1), calls=2),
    Operation("claim with a label of no task", _hopeless_claims),
    PAGES,
    Operation("one task", _tasks),
    Operation("context of an agent", _gets("/api/context?agent_id=resting")),  # the others hold more and more leases
    Operation("search of a rare word", _gets(f"/api/tasks?limit=50&q={large_database.RARE_WORD}")),
    Operation("search of a word in all tasks", _gets(f"/api/tasks?limit=50&q={large_database.COMMON_WORD}")),
    Operation("50 newest events", _newest_events),
    Operation("unchanged plan of 20 tasks", _unchanged_plans, clients=1),
    Operation(KEPT, _boards, most_tasks=10_000),
    CHANGED_BOARDS,
)
NAMES = (*(operation.name for operation in OPERATIONS), LIVE)


def _section(found: Rounds, sizes: Sequence[int]) -> Section:
    section = Section(
        "Number of tasks",
        f"Server CPU in us an operation, on databases with ten events for each task. {CLIENTS} clients ask at once, "
        "and one for the changed board, the plan, and the event. `claim and release` and the changed board are two "
        "requests. "
        "The last column compares the largest database with the smallest one, round by round. A board contains all "
        "tasks, so its cost grows with them.",
        ["operation", *(f"{size:,} tasks" for size in sizes), "largest / smallest"],
    )
    for name in NAMES:
        measured_sizes = [size for size in sizes if f"{name} @{size}" in found]
        cells = [str(found.cpu(f"{name} @{size}")) if size in measured_sizes else "-" for size in sizes]
        ratio = _growth(found, name, measured_sizes)
        section.rows.append([name, *cells, str(ratio)])
        if name not in (KEPT, CHANGED):
            what = f"{name}: server CPU with {sizes[-1]:,} tasks / with {sizes[0]:,}"
            section.goals.append(Goal(what, LIMIT, "at most", ratio))
    return section


def _growth(found: Rounds, name: str, sizes: Sequence[int]) -> Spread:
    return found.ratio(f"{name} @{sizes[-1]}", (f"{name} @{sizes[0]}",), lambda sample: sample.cpu)


def _plot(found: Rounds, sizes: Sequence[int]) -> Plot:
    lines = [
        Series(name, [(size, found.cpu(f"{name} @{size}")) for size in sizes])
        for name in NAMES
        if name not in (KEPT, CHANGED)
    ]
    axes = ("tasks", "server CPU, us an operation")
    return line_plot("performance-sizes", "Cost against the number of tasks", axes, lines, log_x=True, log_y=True)
