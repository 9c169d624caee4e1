"""Operations on tokens."""

from project_manager.domain.actors import Role
from project_manager.domain.errors import NameTaken, OperatorTokenRequired, TokenNotFound
from project_manager.operations.definition import Kind, Operation
from project_manager.schemas.tokens import (
    ClearedTokensView,
    ClearTokens,
    CreateToken,
    ListTokens,
    RevokedTokenView,
    RevokeToken,
    TokenView,
)
from project_manager.schemas.views import Page
from project_manager.services import tokens

TOKENS = (
    Operation(
        "create_token",
        tokens.create,
        CreateToken,
        TokenView,
        http="POST /api/tokens",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        authorize=tokens.authorize_create,
        errors=(NameTaken, OperatorTokenRequired),
        status=201,
    ),
    Operation(
        "list_tokens", tokens.list_tokens, ListTokens, Page[TokenView], http="GET /api/tokens", role=Role.OPERATOR
    ),
    Operation(
        "revoke_token",
        tokens.revoke,
        RevokeToken,
        RevokedTokenView,
        http="DELETE /api/tokens/{token_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(TokenNotFound,),
    ),
    Operation("clear_tokens", tokens.clear, ClearTokens, ClearedTokensView, kind=Kind.WRITE, role=Role.OPERATOR),
)
