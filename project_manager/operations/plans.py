"""Operations that import and export plans."""

from project_manager.domain.errors import PreviewOutdated, ProjectNotFound
from project_manager.domain.limits import PLAN_BYTES
from project_manager.domain.service_errors import ImportInProgress, QueueFull
from project_manager.operations.definition import Operation, PlainText
from project_manager.plans import apply
from project_manager.schemas.plans import ExportPlan, ExportView, ImportPlan, ImportView, export_file_name

YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")

PLANS = (
    Operation(
        "import_plan",
        apply.import_plan,
        ImportPlan,
        ImportView,
        http="POST /api/import",
        needs_operator=True,
        accepts=PlainText(
            "document",
            YAML_TYPES,
            "Send the plan as text in `document`, or as the body with `Content-Type: application/yaml`.",
        ),
        prepare=apply.read_plan,
        compare_globs=apply.compare_paths,
        raises=(ImportInProgress, PreviewOutdated),
        body_bytes=PLAN_BYTES,
    ),
    Operation(
        "export_plan",
        apply.export_plan,
        ExportPlan,
        ExportView,
        http="GET /api/export",
        streamed=PlainText("document", YAML_TYPES, file_name=export_file_name),
        raises=(ProjectNotFound, QueueFull),
    ),
)
