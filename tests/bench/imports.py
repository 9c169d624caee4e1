"""Import of large plans by the command: CPU and memory for each task, of new and of unchanged plans."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.report import Goal, Section
from tests.bench.sampling import number, spread
from tests.bench.servers import CHECKOUT

LARGEST = 100_000
KINDS = ("new", "unchanged")
TASKS_PER_EPIC = 100
LIMIT = 1.3


class Cost(NamedTuple):
    """CPU seconds and peak memory in MB (2^20 bytes) of one command."""

    cpu: float
    peak: float


def measured(folder: Path, sizes: Sequence[int], forms: Sequence[str] = ("yaml", "json")) -> Section:
    """Import plans of these sizes, at least two, and compare the two largest."""
    section = Section(
        "Import of a plan",
        "`project-manager import` of a plan into an empty database, and of the same plan again. A task has a name, a "
        "description of 113 characters, two labels, and a dependency on the task before it. CPU and memory of a task "
        "are those beyond the import of a single task.",
        ["plan", "tasks", "MB of text", "CPU s", "peak RSS MB", "CPU us a task", "kB a task"],
    )
    for form in forms:
        least = [_imported(folder, f"1.{form}", 1) for _ in KINDS]
        found: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for size in sizes:
            name = f"{size}.{form}"
            for kind, base in zip(KINDS, least, strict=True):
                cost = _imported(folder, name, size)
                each = ((cost.cpu - base.cpu) / size * 1e6, (cost.peak - base.peak) / size * 1024)
                found[kind].append(each[0])
                figures = map(number, ((folder / name).stat().st_size / 1e6, *cost, *each))
                section.rows.append([f"{form}, {kind}", f"{size:,}", *figures])
        for kind in KINDS:
            what = f"import ({form}, {kind}): CPU for each task of {sizes[-1]:,} / of {sizes[-2]:,}"
            section.goals.append(Goal(what, LIMIT, "at most", spread([found[kind][-1] / found[kind][-2]])))
    return section


def _imported(folder: Path, name: str, size: int) -> Cost:
    plan = folder / name
    if not plan.exists():
        with plan.open("w") as file:
            file.writelines(as_json(size) if plan.suffix == ".json" else as_yaml(size))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "DATABASE_PATH": str(folder / f"{name}.db")}
    command = [sys.executable, "-m", "project_manager", "import", str(plan)]
    # The peak of a new process is at least the memory of this one, which therefore never has a whole plan in memory.
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the import of {name} failed with status {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def as_yaml(size: int) -> Iterator[str]:
    """Yield the text of a plan with this number of tasks."""
    yield "projects:\n- name: Large\n  epics:\n"
    for task in range(size):
        if task % TASKS_PER_EPIC == 0:
            yield f"  - name: Epic {task // TASKS_PER_EPIC}\n    tasks:\n"
        yield f"    - name: Task {task}\n      description: {_DESCRIPTION}\n      labels: [backend, bench]\n"
        if task % TASKS_PER_EPIC:
            yield f"      depends_on: Task {task - 1}\n"


def as_json(size: int) -> Iterator[str]:
    """Yield the text of the plan of `as_yaml` as JSON, with a line for each task."""
    yield '{"projects": [{"name": "Large", "epics": ['
    for first in range(0, size, TASKS_PER_EPIC):
        tasks = ",\n".join(_json_task(task) for task in range(first, min(first + TASKS_PER_EPIC, size)))
        separator = "," if first else ""
        yield f'{separator}\n{{"name": "Epic {first // TASKS_PER_EPIC}", "tasks": [\n{tasks}]}}'
    yield "]}]}\n"


def _json_task(task: int) -> str:
    needed = f', "depends_on": ["Task {task - 1}"]' if task % TASKS_PER_EPIC else ""
    return f'{{"name": "Task {task}", "description": "{_DESCRIPTION}", "labels": ["backend", "bench"]{needed}}}'


_DESCRIPTION = ("What is to be done, in a line or two. " * 3).strip()
