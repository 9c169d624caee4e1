"""The use case that starts the demo."""

from project_manager.demo.plan import DESCRIPTION, PLAN, PROJECT, rows_of
from project_manager.domain.errors import NotEmpty
from project_manager.schemas.demo import StartDemo
from project_manager.schemas.projects import CreateProject, ProjectView
from project_manager.schemas.tasks import CreateTasks
from project_manager.services import lookup, projects, serializers, tasks
from project_manager.store import task_counts
from project_manager.store.transaction import Tx


def start(tx: Tx, command: StartDemo) -> ProjectView:
    """Start the demo on a server without tasks: six scripted agents work on a new project for up to five minutes.

    To stop the demo, delete its project. The agents run in the process that has answered.
    """
    if task_counts.counts_up_to(tx, 1, None):
        raise NotEmpty(
            "the demo starts only on a server without tasks",
            hint="Start it beside your tasks with `project-manager demo --url URL`, or delete the tasks first.",
        )
    project = projects.create(tx, CreateProject.model_validate({"name": PROJECT, "description": DESCRIPTION}))
    ids: dict[str, int] = {}
    for epic, works in PLAN.items():
        command_of_epic = {"project_id": project.id, "epic_name": epic, "tasks": rows_of(works, ids)}
        created = tasks.create_many(tx, CreateTasks.model_validate(command_of_epic))
        ids |= created.ids
    return serializers.project(lookup.project(tx, project.id), task_counts.counts_in_project(tx, project.id))
