"""The operation that edits many tasks."""

from project_manager.domain.errors import EpicNotFound, ProjectNotFound, SelectionChanged
from project_manager.operations.definition import Operation
from project_manager.schemas.bulk_edits import EditedTasksView, EditTasks
from project_manager.services import bulk_edits

BULK_EDITS = (
    Operation(
        "edit_tasks",
        bulk_edits.bulk_edit,
        EditTasks,
        EditedTasksView,
        http="PATCH /api/tasks",
        acts_as="agent_id",
        reads_first=bulk_edits.select_tasks,
        compare_globs=bulk_edits.compare_globs,
        has_effect=lambda view: not view.dry_run,
        raises=(ProjectNotFound, EpicNotFound, SelectionChanged),
    ),
)
