"""One run of the demonstration: the project, the agents, and the end."""

from collections.abc import Callable
from itertools import count

import anyio

from project_manager.demo.agents import Agent, Person
from project_manager.demo.plan import DESCRIPTION, PLAN, PROJECT, rows_of
from project_manager.demo.run import DemoRun
from project_manager.demo.service import Json, Rejected, Service

LENGTH_SECONDS = 300
BEHAVIORS = {
    "demo-ada": "",
    "demo-barbara": "asks",
    "demo-edsger": "submits",
    "demo-grace": "fails",
    "demo-ken": "falls silent",
    "demo-linus": "",
}
DELAY_SECONDS = 2
"""Time between the starts of two agents."""


async def run_demo(service: Service, speed: float, write: Callable[[str], object]) -> None:
    """Run six agents on a new project until all tasks are done, for at most five minutes divided by `speed`.

    When it is cancelled, the agents release their tasks. Raises Rejected, Unavailable.
    """
    number, project = await _new_project(service)
    demo = DemoRun(service, project["id"], speed, write)
    await _create_tasks(demo)
    write(f"Six agents work on “{project['name']}” for five minutes: {service.url}/?project={project['id']}")
    await run_agents(demo, number)
    tasks_by_status = (await service.call("GET", f"/api/projects/{project['id']}"))["tasks"]
    write(f"{tasks_by_status['DONE']} of {sum(tasks_by_status.values())} tasks are done.")


async def run_agents(demo: DemoRun, number: int = 1) -> None:
    """Run six agents on the project of the demonstration until all tasks are done, for at most five minutes.

    Their names end with the number of the run, if it is not 1. Raises ExceptionGroup of Rejected and Unavailable.
    """
    with anyio.move_on_after(LENGTH_SECONDS / demo.speed):
        async with anyio.create_task_group() as tasks:
            for position, (name, behavior) in enumerate(BEHAVIORS.items()):
                agent = Agent(demo, _numbered(name, number), behavior, Person(demo), tasks)
                tasks.start_soon(agent.run, position * DELAY_SECONDS)


async def _new_project(service: Service) -> tuple[int, Json]:
    """Create the project of this run. A further run on the same server gets the next number."""
    for number in count(1):
        name = PROJECT if number == 1 else PROJECT.replace("demo", f"demo {number}")
        try:
            return number, await service.call("POST", "/api/projects", retries=0, name=name, description=DESCRIPTION)
        except Rejected as error:
            if error.code != "name_taken":
                raise
    raise AssertionError("count() does not end")


async def _create_tasks(demo: DemoRun) -> None:
    ids: dict[str, int] = {}
    for epic, works in PLAN.items():
        rows = rows_of(works, ids)
        created = await demo.service.call(
            "POST", "/api/tasks/bulk", project_id=demo.project_id, epic_name=epic, tasks=rows
        )
        ids |= created["ids"]


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
