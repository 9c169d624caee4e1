"""Operations on the flow of tasks."""

from project_manager.domain.errors import AgentNotFound, EpicNotFound, ProjectNotFound
from project_manager.operations.definition import Operation
from project_manager.schemas.flow import FlowRebuiltView, FlowView, GetFlow, RebuildFlow
from project_manager.services import flow

FLOW = (
    Operation(
        "get_flow",
        flow.get,
        GetFlow,
        FlowView,
        http="GET /api/flow",
        raises=(ProjectNotFound, EpicNotFound, AgentNotFound),
    ),
    Operation(
        "rebuild_flow", flow.rebuild, RebuildFlow, FlowRebuiltView, http="POST /api/flow/rebuild", needs_operator=True
    ),
)
