"""Lookup of the rows that a command refers to, and checks before a write."""

from collections.abc import Mapping
from typing import Any

from project_manager.domain.actors import Role
from project_manager.domain.errors import (
    EpicNotFound,
    ProjectArchived,
    ProjectNotFound,
    RoleRequired,
    TaskNotFound,
    VersionMismatch,
)
from project_manager.domain.events.projects import EpicCreated, ProjectCreated
from project_manager.domain.names import INBOX, name_key
from project_manager.domain.statuses import EpicStatus
from project_manager.schemas.views import NamedView
from project_manager.services import resolve
from project_manager.store import epics, events, projects, seals, tasks
from project_manager.store.epics import EpicRow
from project_manager.store.projects import ProjectRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def task(tx: Tx, task_id: int) -> TaskRow:
    """Return the task. Raises TaskNotFound."""
    row = tasks.get(tx, task_id)
    if row is None:
        raise TaskNotFound(f"task {task_id} not found", task_id=task_id)
    return row


def project(tx: Tx, project_id: int) -> ProjectRow:
    """Return the project. Raises ProjectNotFound."""
    row = projects.get(tx, project_id)
    if row is None:
        raise ProjectNotFound(f"project {project_id} not found", project_id=project_id)
    return row


def epic(tx: Tx, epic_id: int) -> EpicRow:
    """Return the epic. Raises EpicNotFound."""
    row = epics.get(tx, epic_id)
    if row is None:
        raise EpicNotFound(f"epic {epic_id} not found", epic_id=epic_id)
    return row


def check_scope(tx: Tx, filters: Mapping[str, Any]) -> None:
    """Check that the project and the epic of the filters exist. Raises ProjectNotFound, EpicNotFound."""
    if "project_id" in filters:
        project(tx, filters["project_id"])
    if "epic_id" in filters:
        epic(tx, filters["epic_id"])


def check_version(kind: str, present: int, expected: int | None) -> None:
    """Check that the present version is the expected one, if one is expected. Raises VersionMismatch."""
    if expected is not None and expected != present:
        raise VersionMismatch(f"the {kind} is at version {present}, not {expected}", version=present, expected=expected)


def check_force(tx: Tx, force: bool) -> None:
    """Check that an actor that uses `force` is an operator. Raises RoleRequired."""
    if force and tx.actor.role < Role.OPERATOR:
        raise RoleRequired("`force` needs the role operator", role=tx.actor.role.name.lower(), required="operator")


Created = dict[str, NamedView]
"""The project and the epic that were created for a new row, by kind."""


def get_or_create_project(
    tx: Tx, project_id: int | None, project_name: str | None, epic_id: int | None, created: Created | None = None
) -> ProjectRow:
    """Return the project for a new row, by id, by name, or of its epic. The default is the inbox.

    A new project is added to `created`. Raises ProjectNotFound, EpicNotFound, Invalid, TypoCheckRequired.
    """
    if project_id is not None:
        row = project(tx, project_id)
        if project_name is not None and name_key(project_name) != name_key(row.name):
            raise resolve.conflicting_fields_error(
                "project_name", f"project {project_id} is named {row.name!r}, not {project_name!r}"
            )
        return row
    if project_name is None and epic_id is not None:
        return project(tx, epic(tx, epic_id).project_id)
    found = resolve.project(tx, project_name or INBOX)
    if found is not None:
        return found
    name = project_name or INBOX
    if name_key(name) != name_key(INBOX):  # the inbox is created when it is first needed
        resolve.PROJECT_NAMES.require_typo_check(tx, name)
    made = create_project(tx, name, "")
    if created is not None:
        created["project"] = NamedView(made.id, made.name)
    return made


def get_or_create_epic(
    tx: Tx, parent: ProjectRow, epic_id: int | None, epic_name: str | None, created: Created | None = None
) -> EpicRow | None:
    """Return the epic for a new task, given by id or by name, or None.

    A new epic is added to `created`. Raises EpicNotFound, Invalid, TypoCheckRequired.
    """
    if epic_id is not None:
        row = epic(tx, epic_id)
        if row.project_id != parent.id:
            raise resolve.conflicting_fields_error(
                "epic_id", f"epic {epic_id} is in project {row.project_id}, not {parent.id}"
            )
        return row
    if epic_name is None:
        return None
    found = resolve.epic(tx, parent.id, epic_name)
    if found is not None:
        return found
    if "project" not in (created or {}):  # a new project has no epic yet
        resolve.epic_names(parent.id).require_typo_check(tx, epic_name)
    made = create_epic(tx, parent.id, epic_name, "", EpicStatus.ACTIVE, None)
    if created is not None:
        created["epic"] = NamedView(made.id, made.name)
    return made


def check_not_archived(parent: ProjectRow) -> None:
    """Check that the project is not archived, because users would miss new tasks there. Raises ProjectArchived."""
    if parent.archived_at is not None:
        raise ProjectArchived(f"project {parent.id}, `{parent.name}`, is archived", project_id=parent.id)


def create_project(tx: Tx, name: str, description: str) -> ProjectRow:
    """Insert a project, emit `project.created`, and return the project."""
    row = projects.add(tx, name, description)
    sealed = seals.digests_of("projects", row)
    events.add(tx, ProjectCreated(name=name, version=row.version), project_id=row.id, sealed=sealed)
    return row


def create_epic(
    tx: Tx, project_id: int, name: str, description: str, status: EpicStatus, position: int | None
) -> EpicRow:
    """Insert an epic, by default last in its project, emit `epic.created`, and return the epic."""
    place = epics.next_position(tx, project_id) if position is None else position
    row = epics.add(tx, project_id, name, description, status.value, place)
    event = EpicCreated(name=name, status=row.status, version=row.version)
    sealed = seals.digests_of("epics", row)
    events.add(tx, event, project_id=project_id, epic_id=row.id, sealed=sealed)
    return row
