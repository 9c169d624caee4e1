"""Events of projects and epics."""

from typing import Annotated, Any

from project_manager.domain.events.event import ACTOR, BOARD, Event
from project_manager.domain.statuses import EpicStatus


class ProjectEvent(Event):
    """Event of a project."""

    touches = (BOARD, ACTOR)


class ProjectCreated(ProjectEvent):
    """A project was created."""

    type = "project.created"
    name: str
    version: int


class ProjectUpdated(ProjectEvent):
    """A project was edited, or is no longer archived."""

    type = "project.updated"
    name: str
    changed: Annotated[list[str], "names of the changed fields"]
    archived: Annotated[bool, "whether the project is archived now"]
    version: int


class ProjectArchived(ProjectUpdated):
    """A project was archived. Each task that was ready has its own `task.not_ready`."""

    type = "project.archived"


class ProjectDeleted(ProjectEvent):
    """A project was deleted. Each of its tasks has its own `task.deleted`."""

    type = "project.deleted"
    name: str
    tasks: Annotated[int, "number of deleted tasks"]
    epics: Annotated[int, "number of deleted epics"]
    knowledge: Annotated[int, "number of deleted knowledge items"]


class EpicCreated(ProjectEvent):
    """An epic was created."""

    type = "epic.created"
    name: str
    status: Annotated[str, EpicStatus]
    version: int


class EpicUpdated(ProjectEvent):
    """An epic was edited."""

    type = "epic.updated"
    name: str
    changes: Annotated[dict[str, Any], "changed fields with their new values"]
    version: int


class EpicDeleted(ProjectEvent):
    """An epic was deleted. Each of its tasks has its own `task.deleted`."""

    type = "epic.deleted"
    name: str
    tasks: Annotated[int, "number of deleted tasks"]
