"""Claims of tasks with paths, half of them blocked by a lease, compared with claims of tasks without paths."""

from functools import partial
from pathlib import Path

from tests.bench.report import Goal, Section
from tests.bench.sampling import Sample, interleave, measure
from tests.bench.servers import Server, product
from tests.bench.stock import BULK, claimed_one
from tests.bench.wire import Script, ask, request

TASKS = 10_000
GLOBS = 1_000
AGENTS = 10
PLAIN, WITH_PATHS = "without paths", "with paths"


def measured(folder: Path, rounds: int, seconds: float) -> Section:
    with product(folder) as server:
        projects = {PLAIN: _filled(server, "Plain", paths=False), WITH_PATHS: _filled(server, "Paths", paths=True)}
        _block_half(server, projects[WITH_PATHS])
        variants = {name: partial(_slice, server, project, seconds) for name, project in projects.items()}
        found = interleave(variants, rounds)
    section = Section(
        "Paths",
        f"Two projects of {TASKS:,} ready tasks. Those of the second one have {GLOBS:,} distinct globs, and the lease "
        f"of another task blocks half of them. {AGENTS} agents claim the next task of one project and release it.",
        ["tasks", "claims and releases/s", "server CPU us of both", "p50 / p99 ms"],
    )
    for name in variants:
        section.rows.append([name, str(found.rate(name)), str(found.cpu(name)), found.latency(name)])
    ratio = found.ratio(WITH_PATHS, (PLAIN,), lambda sample: sample.cpu)
    section.goals = [Goal("server CPU of claim and release, with paths / without", 1.3, "at most", ratio)]
    return section


def _filled(server: Server, name: str, *, paths: bool) -> int:
    """Create the tasks of a project and return its id. The tasks below `hot` and `free` alternate."""
    requests = []
    for start in range(0, TASKS, BULK):
        numbers = [number % GLOBS for number in range(start, start + BULK)]
        globs = [[f"{'free' if number % 2 else 'hot'}/{number}/**"] if paths else [] for number in numbers]
        tasks = [{"name": "task", "paths": given} for given in globs]
        requests.append(request("POST", "/api/tasks/bulk", {"project_name": name, "tasks": tasks}))
    answers = ask(server.port, *requests)
    items = answers[0].json()["items"]
    if not isinstance(items, list):
        raise RuntimeError(f"tasks could not be made: {answers[0].body[:300]!r}")
    return int(items[0]["project_id"])


def _block_half(server: Server, project: int) -> None:
    wide = {"name": "wide", "project_id": project, "paths": ["hot/**"]}
    (made,) = ask(server.port, request("POST", "/api/tasks", wide))
    lease = {"agent_id": "holder", "ttl_seconds": 3600}
    (answer,) = ask(server.port, request("POST", f"/api/tasks/{made.json()['id']}/lock", lease))
    claimed_one(answer)


def _slice(server: Server, project: int, seconds: float) -> Sample:
    scripts = [_cycles(number, project) for number in range(AGENTS)]
    return measure(server, server.port, scripts, seconds, calls=2)


def _cycles(number: int, project: int) -> Script:
    agent = {"agent_id": f"agent-{project}-{number}"}
    claim = request("POST", "/api/tasks/claim", {**agent, "project_id": project})
    while True:
        answer = yield claim
        claimed_one(answer)
        task = answer.json()["task"]
        assert isinstance(task, dict)
        yield request("DELETE", f"/api/tasks/{task['id']}/lock", agent)
