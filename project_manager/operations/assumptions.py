"""Operations on assumptions."""

from project_manager.domain.errors import AssumptionNotFound, TaskNotFound
from project_manager.operations.definition import LEASE_ERRORS, WRITES, Operation, Profile, Tool
from project_manager.schemas import assumptions as schemas
from project_manager.schemas.views import Page
from project_manager.services import assumptions

ASSUMPTIONS = (
    Operation(
        "list_assumptions",
        assumptions.list_assumptions,
        schemas.ListAssumptions,
        Page[schemas.AssumptionView],
        http="GET /api/tasks/{task_id}/assumptions",
        raises=(TaskNotFound,),
    ),
    Operation(
        "add_ra_tag",
        assumptions.record,
        schemas.AddRaTag,
        schemas.RecordedView,
        http="POST /api/tasks/{task_id}/assumptions",
        acts_as="agent_id",
        tool=Tool(
            "Record an assumption",
            WRITES,
            "task_id text file_path line_number code_snippet agent_id fence request_id",
            profile=Profile.ALL,
        ),
        raises=LEASE_ERRORS,
        status=201,
    ),
    Operation(
        "get_assumption",
        assumptions.get,
        schemas.GetAssumption,
        schemas.AssumptionHistoryView,
        http="GET /api/tasks/{task_id}/assumptions/{assumption_id}",
        raises=(TaskNotFound, AssumptionNotFound),
    ),
    Operation(
        "capture_assumption_validation",
        assumptions.record_verdict,
        schemas.CaptureAssumptionValidation,
        schemas.ValidatedView,
        http="POST /api/tasks/{task_id}/assumptions/{assumption_id}/verdicts",
        acts_as="agent_id",
        tool=Tool(
            "Record a verdict",
            WRITES,
            "task_id assumption_id verdict reason confidence agent_id request_id",
            profile=Profile.ALL,
        ),
        raises=(TaskNotFound, AssumptionNotFound),
        status=201,
    ),
)
