"""Use cases of projects: create, read, edit, archive, delete, list."""

from functools import partial
from typing import Any

from project_manager.domain.actors import Role
from project_manager.domain.errors import NotEmpty, RoleRequired
from project_manager.domain.events.projects import ProjectArchived, ProjectDeleted, ProjectUpdated
from project_manager.domain.readiness import Withheld
from project_manager.domain.task_fields import PROJECT_PLAIN
from project_manager.schemas import projects as schemas
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import lookup, paging, pauses, policies, readiness, resolve, serializers
from project_manager.services.tasks import delete_tasks
from project_manager.store import (
    claim_search,
    epics,
    events,
    knowledge,
    offers,
    projects,
    seals,
    task_counts,
    tasks,
    withheld,
)
from project_manager.store.projects import ProjectRow
from project_manager.store.transaction import Tx


def create(tx: Tx, command: schemas.CreateProject) -> schemas.ProjectView:
    """Create a project. Its name is unique."""
    resolve.PROJECT_NAMES.check_free(tx, command.name)
    row = lookup.create_project(tx, command.name, command.description)
    if command.policy is not None:
        row = write(tx, row, {"policy": policies.stored(command.policy)}, archived=None)
    return serializers.project(row, {})


def get(tx: Tx, command: schemas.GetProject) -> schemas.ProjectView:
    """Read one project with the number of its tasks by status."""
    row = lookup.project(tx, command.project_id)
    return serializers.project(row, task_counts.counts_in_project(tx, row.id))


def update(tx: Tx, command: schemas.UpdateProject) -> schemas.ProjectView:
    """Edit or archive a project. Only the fields that are sent change.

    Tasks of an archived project are not ready and cannot be claimed; live leases continue.
    """
    row = lookup.project(tx, command.project_id)
    lookup.check_version("project", row.version, command.version)
    values: dict[str, Any] = {
        name: getattr(command, name) for name in PROJECT_PLAIN if name in command.model_fields_set
    }
    if "name" in values:
        resolve.PROJECT_NAMES.check_free(tx, command.name, row.id)
    if "policy" in command.model_fields_set:
        _check_may_set_policy(tx)
        values["policy"] = policies.stored(command.policy)
    archived = command.archived if "archived" in command.model_fields_set else None
    written = write(tx, row, values, archived=archived)
    return serializers.project(written, task_counts.counts_in_project(tx, row.id))


def _check_may_set_policy(tx: Tx) -> None:
    """Check that the actor may change a policy, because agents must not relax it. Raises RoleRequired."""
    if tx.actor.is_agent or tx.actor.role < Role.OPERATOR:
        raise RoleRequired(
            "the policy of a project is changed by an operator without an agent id",
            hint="Use the token of an operator that is not bound to an agent id.",
            role=tx.actor.role.name.lower(),
            required="operator",
        )


def write(tx: Tx, row: ProjectRow, values: dict[str, Any], *, archived: bool | None) -> ProjectRow:
    """Write the fields, emit the event of the edit, and return the project.

    `archived` archives or unarchives its tasks too. None, or the present value, changes nothing.
    """
    archiving = archived is not None and archived != (row.archived_at is not None)
    if archiving:
        values = {**values, "archived_at": tx.now if archived else None}
    written = projects.update_row(tx, row, values)
    is_archived = written.archived_at is not None
    changed = [name for name in (*PROJECT_PLAIN, "policy") if getattr(row, name) != getattr(written, name)]
    kind = ProjectArchived if archiving and is_archived else ProjectUpdated
    event = kind(name=written.name, changed=changed, archived=is_archived, version=written.version)
    events.add(tx, event, project_id=row.id, sealed=seals.digests_of("projects", written))
    if archiving:
        _set_archived(tx, row.id, is_archived)
    return written


def _set_archived(tx: Tx, project_id: int, archived: bool) -> None:
    """Set the flag of the tasks of a project, and emit an event for each task that is or was ready."""
    if archived:
        ready = claim_search.ids(tx, {"project_id": project_id})
        withheld.withhold_project(tx, project_id, Withheld.ARCHIVED)
        readiness.emit_not_ready(tx, ready)
    else:
        withheld.stop_withholding_project(tx, project_id, Withheld.ARCHIVED)
        found = claim_search.ids(tx, {"project_id": project_id})
        readiness.emit_ready(tx, [*found, *offers.in_scope(tx, project_id)])


def delete(tx: Tx, command: schemas.DeleteProject) -> DeletedView:
    """Delete a project. If it has epics, tasks or knowledge, `force` is needed and deletes them too."""
    lookup.check_force(tx, command.force)
    row = lookup.project(tx, command.project_id)
    lookup.check_version("project", row.version, command.version)
    task_ids = tasks.ids_in_project(tx, row.id)
    epic_count = epics.count(tx, {"project_id": row.id}, exact=True).number
    knowledge_count = knowledge.count(tx, {"project_id": row.id}, exact=True).number
    if (task_ids or epic_count or knowledge_count) and not command.force:
        content = f"{epic_count} epics, {len(task_ids)} tasks and {knowledge_count} items of knowledge"
        message = f"project {row.id} has {content}"
        raise NotEmpty(message, epics=epic_count, tasks=len(task_ids), knowledge=knowledge_count)
    readiness.emit_ready(tx, delete_tasks(tx, task_ids))
    pauses.end_of_project(tx, row.id)
    projects.remove(tx, row.id)
    event = ProjectDeleted(name=row.name, tasks=len(task_ids), epics=epic_count, knowledge=knowledge_count)
    events.add(tx, event, project_id=row.id)
    return DeletedView(success=True, deleted="project", id=row.id, name=row.name, epics=epic_count, tasks=len(task_ids))


def list_projects(tx: Tx, command: schemas.ListProjects) -> Page[schemas.ProjectView]:
    """List the projects, by id, with the number of their tasks by status."""
    archived = command.archived
    filters = {"archived": archived}
    after = paging.start_id(command, filters)
    rows, has_more = projects.page(tx, archived=archived, after=after, limit=command.limit)
    counts = task_counts.counts_by_project(tx, [row.id for row in rows])
    return paging.page(
        command,
        filters,
        rows,
        has_more,
        partial(projects.count, tx, archived),
        item=lambda row: serializers.project(row, counts[row.id]),
    )
