"""Commands and views of edits of many tasks."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from project_manager.domain import limits
from project_manager.schemas import fields
from project_manager.schemas.commands import IdempotentCommand
from project_manager.schemas.tasks import PlainFields, TaskFilters

_TaskIds = Annotated[
    list[fields.Id],
    fields.max_items(limits.BULK_TASKS),
    BeforeValidator(fields.parse_list),
    AfterValidator(lambda ids: [*dict.fromkeys(ids)]),
]


def _without_defaults(schema: dict[str, Any]) -> None:
    """Remove the defaults from the JSON Schema of changes. A client that fills them in would overwrite fields."""
    for described in schema["properties"].values():
        described.pop("default", None)


class TaskChanges(PlainFields):
    """Changes of a task. Fields that are absent stay as they are, and lists are replaced whole.

    `depends_on`, `conflicts_with`, `parent_id` and `paths` are accepted only in a request for a single task.
    """

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: fields.Name = ""
    epic_id: fields.Id | None = Field(None, description="null removes the task from its epic")
    parent_id: fields.Id | None = None
    depends_on: fields.Ids = Field(default_factory=list, description="replaces the list of task ids")
    conflicts_with: fields.Ids = Field(default_factory=list)
    add_labels: fields.Labels = Field(default_factory=list)
    remove_labels: fields.Labels = Field(default_factory=list)
    status: fields.TaskStatus | None = None
    reopen: fields.Flag = Field(False, description="leave DONE or CANCELLED")
    attempts: fields.Integer = Field(0, ge=0, le=0, description="0 resets failed attempts")
    assigned_to: fields.AgentId | None = Field(
        None, description="agent that the task is offered to first; null ends an offer"
    )


class TaskEdit(TaskChanges):
    """Changes of one task. They apply only at this version of the task."""

    id: fields.Id
    version: fields.Version | None = Field(None, description="leave the task alone unless it is at this version")
    former_version: fields.Version | None = Field(
        None, description="in an undo: the version before the edit, for clients with a stack of undos; has no effect"
    )
    attempts: fields.Integer = Field(0, ge=0, le=limits.ATTEMPTS_MAXIMUM, description="failed attempts")
    submission_id: fields.Id | None = Field(
        None, description="with status REVIEW: submission that waits for a verdict again, if it is still valid"
    )
    completed_at: fields.Instant | None = Field(None, description="with status DONE: former time, from people only")


_SELECTIONS: dict[str, Any] = {
    "oneOf": [{"required": [name]} for name in ("ids", "filter", "tasks")],
    "dependentRequired": {"ids": ["changes"], "filter": ["changes"]},
    "not": {"required": ["tasks", "changes"]},
}
"""JSON Schema of an edit: it selects tasks in one way, and has `changes` unless `tasks` has them."""


class EditTasks(IdempotentCommand):
    model_config = ConfigDict(json_schema_extra=_SELECTIONS)

    # These fields have no null, so that each of them is either sent or not.
    ids: _TaskIds = Field(default_factory=list, description="the tasks to change")
    filter: TaskFilters = Field(
        default_factory=partial(TaskFilters.model_validate, {}), description="change the tasks that match, at most 500"
    )
    tasks: Annotated[list[TaskEdit], fields.max_items(limits.BULK_TASKS)] = Field(
        default_factory=list,
        description="other changes for each task, with each id once, such as the `undo` of an earlier edit",
    )
    changes: TaskChanges = Field(
        default_factory=partial(TaskChanges.model_validate, {}), description="the same changes for all tasks"
    )
    note: fields.Text | None = Field(None, description="added to the log of each changed task")
    force: fields.Flag = Field(False, description="operators only: end any lease")
    expected: fields.Integer | None = Field(
        None, ge=0, le=limits.ID_MAXIMUM, description="fail unless the filter matches this number of tasks"
    )
    dry_run: fields.Flag = Field(False, description="count only: change nothing")
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


@dataclass(frozen=True, slots=True)
class RefusedTaskView:
    """A task that does not take the change, with the error of the same change to this task alone."""

    id: int
    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class EditedTasksView:
    """The result of an edit of many tasks. `tasks` are the ids of the changed ones. `unchanged` tasks had the values
    before. `refused` has the first 50 tasks that do not take the change. `changed_since` are the ids of tasks that are
    at another version than the request says. `undo` is the body of the request that undoes the edit, or null.
    """

    dry_run: bool
    matched: int
    changed: int
    unchanged: int
    refused_total: int
    refused: list[RefusedTaskView]
    changed_since: list[int]
    tasks: list[int]
    undo: dict[str, Any] | None
