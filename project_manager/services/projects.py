"""Use cases of projects: create, read, edit, archive, delete, list."""

from typing import Any

from project_manager.domain.errors import NotEmpty
from project_manager.domain.events import ProjectArchived, ProjectDeleted, ProjectUpdated
from project_manager.domain.task_fields import PROJECT_PLAIN
from project_manager.schemas.projects import (
    CreateProject,
    DeleteProject,
    GetProject,
    ListProjects,
    ProjectView,
    UpdateProject,
)
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import lookup, paging, resolve, serializers, transitions
from project_manager.services.tasks import delete_task
from project_manager.store import claimable, epics, events, knowledge, projects, seals, tasks
from project_manager.store.projects import ProjectRow
from project_manager.store.transaction import Tx

ALL_TASKS = 2**62


def create(tx: Tx, command: CreateProject) -> ProjectView:
    """Create a project. Its name is unique."""
    resolve.check_project_name_free(tx, command.name)
    return serializers.project(lookup.create_project(tx, command.name, command.description), {})


def get(tx: Tx, command: GetProject) -> ProjectView:
    """Read one project with the number of its tasks by status."""
    row = lookup.project(tx, command.project_id)
    return serializers.project(row, tasks.counts_in_project(tx, row.id))


def update(tx: Tx, command: UpdateProject) -> ProjectView:
    """Edit or archive a project. Only the fields that are sent change.

    Tasks of an archived project are not ready and cannot be claimed; live leases continue.
    """
    row = lookup.project(tx, command.project_id)
    lookup.check_version("project", row.version, command.version)
    values: dict[str, Any] = {
        name: getattr(command, name) for name in PROJECT_PLAIN if name in command.model_fields_set
    }
    if "name" in values:
        resolve.check_project_name_free(tx, command.name, row.id)
    # An unchanged `archived` must not move the time of archiving or write to all tasks of the project.
    archiving = "archived" in command.model_fields_set and command.archived != (row.archived_at is not None)
    if archiving:
        values["archived_at"] = tx.now if command.archived else None
    written = projects.write(tx, row, values)
    changed = [name for name in PROJECT_PLAIN if getattr(row, name) != getattr(written, name)]
    emit_changed(tx, written, changed, archiving=archiving)
    return serializers.project(written, tasks.counts_in_project(tx, row.id))


def emit_changed(tx: Tx, row: ProjectRow, changed: list[str], *, archiving: bool) -> None:
    """Emit the event of an edit. With `archiving` also archive or unarchive the tasks, with their events."""
    archived = row.archived_at is not None
    kind = ProjectArchived if archiving and archived else ProjectUpdated
    sealed = seals.digests_of("projects", row)
    event = kind(name=row.name, changed=changed, archived=archived, version=row.version)
    events.add(tx, event, project_id=row.id, sealed=sealed)
    if archiving:
        _set_archived(tx, row.id, archived)


def _set_archived(tx: Tx, project_id: int, archived: bool) -> None:
    """Set the flag of the tasks of a project, and emit an event for each task that is or was ready."""
    if archived:
        ready = claimable.ids(tx, {"project_id": project_id}, ALL_TASKS)
        tasks.set_archived(tx, project_id, archived)
        transitions.emit_not_ready(tx, ready)
    else:
        tasks.set_archived(tx, project_id, archived)
        transitions.emit_ready(tx, claimable.ids(tx, {"project_id": project_id}, ALL_TASKS))


def delete(tx: Tx, command: DeleteProject) -> DeletedView:
    """Delete a project. If it has epics, tasks or knowledge, `force` is needed and deletes them too."""
    lookup.check_force(tx, command.force)
    row = lookup.project(tx, command.project_id)
    lookup.check_version("project", row.version, command.version)
    inside = tasks.ids_in_project(tx, row.id)
    parts = epics.page(tx, {"project_id": row.id}, after=(0, -1, 0), limit=1)[2]
    known = knowledge.page(tx, {"project_id": row.id}, after=None, limit=1)[2]
    if (inside or parts or known) and not command.force:
        words = f"project {row.id} has {parts} epics, {len(inside)} tasks and {known} items of knowledge"
        raise NotEmpty(words, epics=parts, tasks=len(inside), knowledge=known)
    freed = [other for task_id in inside for other in delete_task(tx, lookup.task(tx, task_id))]
    transitions.emit_ready(tx, sorted(set(freed)))
    projects.remove(tx, row.id)
    event = ProjectDeleted(name=row.name, tasks=len(inside), epics=parts, knowledge=known)
    events.add(tx, event, project_id=row.id)
    return DeletedView(success=True, deleted="project", id=row.id, name=row.name, epics=parts, tasks=len(inside))


def list_projects(tx: Tx, command: ListProjects) -> Page[ProjectView]:
    """List the projects, by id, with the number of their tasks by status."""
    archived = command.archived
    filters = {"archived": archived}
    after = paging.start_id(command, filters)
    shown, more, total = projects.page(tx, archived=archived, after=after, limit=command.limit)
    counts = tasks.counts_by_project(tx)
    return paging.page(
        shown,
        more,
        total,
        filters,
        item=lambda row: serializers.project(row, counts.get(row.id, {})),
        position=lambda row: (row.id,),
    )
