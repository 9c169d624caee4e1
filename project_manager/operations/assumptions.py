"""Operations on assumptions."""

from project_manager.domain.actors import Role
from project_manager.domain.errors import AssumptionNotFound, IdempotencyMismatch, TaskNotFound
from project_manager.operations.definition import LEASE_ERRORS, WRITES, Kind, Operation, Profile, Tool
from project_manager.schemas import assumptions as about_assumptions
from project_manager.schemas.views import Page
from project_manager.services import assumptions

ASSUMPTIONS = (
    Operation(
        "list_assumptions",
        assumptions.list_assumptions,
        about_assumptions.ListAssumptions,
        Page[about_assumptions.AssumptionView],
        http="GET /api/tasks/{task_id}/assumptions",
        errors=(TaskNotFound,),
    ),
    Operation(
        "add_ra_tag",
        assumptions.record,
        about_assumptions.AddRaTag,
        about_assumptions.RecordedView,
        http="POST /api/tasks/{task_id}/assumptions",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        acts_as="agent_id",
        tool=Tool(
            "Record an assumption",
            WRITES,
            ("task_id", "text", "file_path", "line_number", "code_snippet", "agent_id", "fence", "request_id"),
            profile=Profile.ALL,
        ),
        errors=(*LEASE_ERRORS, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "get_assumption",
        assumptions.get,
        about_assumptions.GetAssumption,
        about_assumptions.AssumptionHistoryView,
        http="GET /api/tasks/{task_id}/assumptions/{assumption_id}",
        errors=(TaskNotFound, AssumptionNotFound),
    ),
    Operation(
        "capture_assumption_validation",
        assumptions.record_verdict,
        about_assumptions.CaptureAssumptionValidation,
        about_assumptions.ValidatedView,
        http="POST /api/tasks/{task_id}/assumptions/{assumption_id}/verdicts",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        acts_as="agent_id",
        tool=Tool(
            "Record a verdict",
            WRITES,
            ("task_id", "assumption_id", "verdict", "reason", "confidence", "agent_id", "request_id"),
            profile=Profile.ALL,
        ),
        errors=(TaskNotFound, AssumptionNotFound, IdempotencyMismatch),
        status=201,
    ),
)
