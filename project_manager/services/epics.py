"""Use cases of epics: create, read, edit, delete, list."""

from functools import partial
from typing import Any

from project_manager.domain.errors import NotEmpty
from project_manager.domain.events.projects import EpicDeleted, EpicUpdated
from project_manager.domain.task_fields import EPIC_PLAIN
from project_manager.schemas import epics as schemas
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import lookup, paging, readiness, resolve, serializers
from project_manager.services.serializers import view_of
from project_manager.services.tasks import delete_tasks
from project_manager.store import epics, events, seals, tasks
from project_manager.store.epics import EpicRow
from project_manager.store.transaction import Tx


def create(tx: Tx, command: schemas.CreateEpic) -> schemas.EpicView:
    """Create an epic in a project, given by id or name. Its name is unique in the project.

    A project given by name is created if it does not exist, and listed under `created`. An archived project takes no
    epics.
    """
    created: lookup.Created = {}
    project = lookup.get_or_create_project(tx, command.project_id, command.project_name, None, created)
    lookup.check_not_archived(project)
    resolve.epic_names(project.id).check_free(tx, command.name)
    row = lookup.create_epic(tx, project.id, command.name, command.description, command.status, command.position)
    return view_of(schemas.CreatedEpicView, row, created=created) if created else serializers.epic(row)


def get(tx: Tx, command: schemas.GetEpic) -> schemas.EpicView:
    """Read one epic."""
    return serializers.epic(lookup.epic(tx, command.epic_id))


def update(tx: Tx, command: schemas.UpdateEpic) -> schemas.EpicView:
    """Edit an epic. Only the fields that are sent change."""
    row = lookup.epic(tx, command.epic_id)
    lookup.check_version("epic", row.version, command.version)
    values: dict[str, Any] = {name: getattr(command, name) for name in EPIC_PLAIN if name in command.model_fields_set}
    if "name" in values:
        resolve.epic_names(row.project_id).check_free(tx, command.name, row.id)
    return serializers.epic(write(tx, row, values))


def write(tx: Tx, row: EpicRow, values: dict[str, Any]) -> EpicRow:
    """Write the fields, emit `epic.updated`, and return the epic."""
    stored = {name: str(value) if name == "status" else value for name, value in values.items()}
    written = epics.update_row(tx, row, stored)
    changes = {name: getattr(written, name) for name in EPIC_PLAIN if getattr(row, name) != getattr(written, name)}
    event = EpicUpdated(name=written.name, changes=changes, version=written.version)
    sealed = seals.digests_of("epics", written)
    events.add(tx, event, project_id=row.project_id, epic_id=row.id, sealed=sealed)
    return written


def delete(tx: Tx, command: schemas.DeleteEpic) -> DeletedView:
    """Delete an epic. An epic with tasks is deleted only with `force`, together with its tasks."""
    lookup.check_force(tx, command.force)
    row = lookup.epic(tx, command.epic_id)
    lookup.check_version("epic", row.version, command.version)
    inside = tasks.ids_in_epic(tx, row.id)
    if inside and not command.force:
        raise NotEmpty(f"epic {row.id} has {len(inside)} tasks", tasks=len(inside))
    readiness.emit_ready(tx, delete_tasks(tx, inside))
    epics.remove(tx, row.id)
    events.add(tx, EpicDeleted(name=row.name, tasks=len(inside)), project_id=row.project_id, epic_id=row.id)
    return DeletedView(success=True, deleted="epic", id=row.id, name=row.name, epics=1, tasks=len(inside))


def list_epics(tx: Tx, command: schemas.ListEpics) -> Page[schemas.EpicView]:
    """List the epics of one project or of all, by project and position."""
    filters: dict[str, Any] = {}
    project_id = resolve.project_id_of(tx, command.project_id, command.project_name)
    if project_id is not None:
        filters["project_id"] = lookup.project(tx, project_id).id
    if command.status is not None:
        filters["status"] = command.status.value
    after = paging.start(command, filters, 3) or (0, -1, 0)
    rows, has_more = epics.page(tx, filters, after=after, limit=command.limit)
    return paging.page(
        command,
        filters,
        rows,
        has_more,
        partial(epics.count, tx, filters),
        item=serializers.epic,
        position=lambda row: (row.project_id, row.position, row.id),
    )
