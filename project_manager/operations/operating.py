"""Plans in and out, and tokens."""

from project_manager.domain.actors import Role
from project_manager.domain.errors import (
    IdempotencyMismatch,
    ImportInProgress,
    NameTaken,
    OperatorTokenFirst,
    ProjectNotFound,
    QueueFull,
    TokenNotFound,
)
from project_manager.domain.limits import PLAN_BYTES
from project_manager.operations.definition import Kind, Operation
from project_manager.plans import apply
from project_manager.schemas import commands, views
from project_manager.schemas.tokens import ClearTokens
from project_manager.services import tokens

OPERATING = (
    Operation(
        "import_plan",
        apply.import_plan,
        commands.ImportPlan,
        views.ImportView,
        http="POST /api/import",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        idempotent=True,
        prepare=apply.read_plan,
        errors=(IdempotencyMismatch, ImportInProgress),
        body_bytes=PLAN_BYTES,
    ),
    Operation(
        "export_plan",
        apply.export_plan,
        commands.ExportPlan,
        views.ExportView,
        http="GET /api/export",
        streamed=True,
        errors=(ProjectNotFound, QueueFull),
    ),
    Operation(
        "create_token",
        tokens.create,
        commands.CreateToken,
        views.TokenView,
        http="POST /api/tokens",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(NameTaken, OperatorTokenFirst),
        status=201,
    ),
    Operation(
        "list_tokens",
        tokens.list_tokens,
        commands.ListTokens,
        views.Page[views.TokenView],
        http="GET /api/tokens",
        role=Role.OPERATOR,
    ),
    Operation(
        "revoke_token",
        tokens.revoke,
        commands.RevokeToken,
        views.RevokedTokenView,
        http="DELETE /api/tokens/{token_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(TokenNotFound,),
    ),
    Operation(
        "clear_tokens",
        tokens.clear,
        ClearTokens,
        views.ClearedTokensView,
        kind=Kind.WRITE,
        role=Role.OPERATOR,
    ),
)
