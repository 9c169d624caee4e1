"""The fields of tasks, epics and projects, one row per field.

Store, serializers, plans, MCP and the form of the dashboard derive from these rows. Commands add types and bounds.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from project_manager.domain.limits import PRIORITY_DEFAULT
from project_manager.domain.statuses import Status


class Kind(StrEnum):
    """The type of a value. It decides how a column stores the value, and which input the form shows."""

    ID = "id"
    INTEGER = "integer"
    MINUTES = "minutes"
    PRIORITY = "priority"
    FLAG = "flag"
    LINE = "line"
    TEXT = "text"
    LINES = "lines"
    LABELS = "labels"
    STATUS = "status"
    INSTANT = "instant"
    DUE = "due"
    EPIC = "epic"
    TASK = "task"
    TASKS = "tasks"
    LEASE = "lease"
    OFFER = "offer"


INSTANTS = frozenset({Kind.INSTANT, Kind.DUE})
"""Kinds that a column stores in milliseconds, and that the API writes in RFC 3339 format."""
LISTS = frozenset({Kind.LINES, Kind.LABELS, Kind.TASKS})
"""Kinds that a column stores as a JSON array."""

REQUIRED: Any = ...
"""The default of a field without a default."""


class Import(StrEnum):
    """Rule for when an import writes a field."""

    ALWAYS = "always"
    """Each import writes the field, if it differs."""
    NEW = "new"
    """The import writes the field of a new task only."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field. `title` is its label on the form; a field without one is not on the form.

    `column` is False for fields that are computed or stored in another table. `compact` fields are in short rows.
    `sealed` fields are covered by the digests in events. Old events cover these fields, so the set cannot change.
    """

    name: str
    kind: Kind
    title: str = ""
    hint: str = ""
    default: Any = None
    column: bool = True
    editable: bool = False
    plan: Import | None = None
    compact: bool = False
    sealed: bool = False

    @property
    def is_plain(self) -> bool:
        """Return whether every interface and every plan reads and writes the column without a special rule."""
        return self.column and self.editable and self.plan is Import.ALWAYS

    def from_column(self, stored: Any) -> Any:
        """Return the value of the field for the content of its column."""
        return json.loads(stored) if self.kind in LISTS else stored


def _written(name: str, kind: Kind, title: str, **marks: Any) -> Field:
    """Return a field that every interface and every plan writes."""
    return Field(name, kind, title, **{"editable": True, "plan": Import.ALWAYS, **marks})


TASK_FIELDS = (
    Field("id", Kind.ID, compact=True),
    Field("project_id", Kind.ID),
    Field("epic_id", Kind.EPIC, "Epic", editable=True),
    Field("parent_id", Kind.TASK, editable=True),
    _written("name", Kind.LINE, "Name", default=REQUIRED, compact=True, sealed=True),
    _written("description", Kind.TEXT, "Description", default="", hint="Markdown. #12 links to a task.", sealed=True),
    Field("status", Kind.STATUS, default=Status.TODO, plan=Import.NEW, compact=True),
    _written("priority", Kind.PRIORITY, "Priority", default=PRIORITY_DEFAULT, compact=True, sealed=True),
    _written(
        "labels",
        Kind.LABELS,
        "Labels",
        default=[],
        hint='Separated by commas. Put a label that contains a comma in quotes: "now, or never".',
        sealed=True,
    ),
    _written("acceptance", Kind.LINES, "Done when", default=[], hint="One criterion per line.", sealed=True),
    _written("depends_on", Kind.TASKS, "Waits for", default=[], column=False),
    _written("conflicts_with", Kind.TASKS, "Never at the same time as", default=[], column=False),
    _written(
        "paths",
        Kind.LINES,
        "Paths",
        default=[],
        hint="Files that it changes, one glob per line, such as src/api/**. No two tasks in progress share a file.",
    ),
    _written("defer_until", Kind.INSTANT, "Not before", hint="The task is not ready earlier.", sealed=True),
    _written("due_at", Kind.DUE, "Due", sealed=True),
    _written("estimate_minutes", Kind.MINUTES, "Estimate", sealed=True),
    _written("external_key", Kind.LINE, "Your key", hint="From your tracker; unique in the project.", sealed=True),
    Field("version", Kind.INTEGER),
    Field("fence", Kind.INTEGER),
    Field("attempts", Kind.INTEGER, default=0, editable=True, plan=Import.NEW),
    Field("ready", Kind.FLAG, column=False, compact=True),
    Field("why_not_ready", Kind.LINES, column=False),
    Field("lock", Kind.LEASE, column=False),
    Field("holder", Kind.LINE, column=False, compact=True),
    Field("expires_at", Kind.INSTANT, column=False),
    Field("worked_by", Kind.LINE, compact=True),
    Field("worked_seconds", Kind.INTEGER, default=0),
    Field("cancelled_dependencies", Kind.TASKS, column=False),
    Field("path_conflicts", Kind.TASKS, column=False),
    Field("unblocks", Kind.INTEGER),
    Field("created_by", Kind.LINE, plan=Import.NEW),
    Field("created_at", Kind.INSTANT, plan=Import.NEW),
    Field("updated_at", Kind.INSTANT),
    Field("completed_at", Kind.INSTANT, plan=Import.NEW),
    Field("completed_by", Kind.LINE),
    Field("blocked_by", Kind.LINE),
    Field("offered_to", Kind.OFFER),
)
"""The fields of a row of tasks, in the order of short rows, plans and the form."""

PLAIN = tuple(field for field in TASK_FIELDS if field.is_plain)
EDITABLE = tuple(field.name for field in TASK_FIELDS if field.editable)
COMPACT = tuple(field.name for field in TASK_FIELDS if field.compact)
SEALED = tuple(field.name for field in TASK_FIELDS if field.sealed)
FORM = tuple(field for field in TASK_FIELDS if field.title)

CLEARABLE = {
    field.name: field.default
    for field in TASK_FIELDS
    if field.editable and field.default is not REQUIRED and not field.default
}
"""The editable fields that can be empty, with their empty value."""

EPIC_PLAIN = ("name", "description", "status", "position")
PROJECT_PLAIN = ("name", "description")
"""The columns that commands and plans write. `archived` has special rules: its column holds a time."""
