"""Operations on tokens."""

from project_manager.domain.errors import NameTaken, OperatorTokenRequired, TokenNotFound
from project_manager.operations.definition import Operation
from project_manager.schemas import tokens as schemas
from project_manager.schemas.views import Page
from project_manager.services import tokens

TOKENS = (
    Operation(
        "create_token",
        tokens.create,
        schemas.CreateToken,
        schemas.TokenView,
        http="POST /api/tokens",
        needs_operator=True,
        authorize=tokens.authorize_create,
        raises=(NameTaken, OperatorTokenRequired),
        status=201,
    ),
    Operation(
        "list_tokens",
        tokens.list_tokens,
        schemas.ListTokens,
        Page[schemas.TokenView],
        http="GET /api/tokens",
        needs_operator=True,
    ),
    Operation(
        "revoke_token",
        tokens.revoke,
        schemas.RevokeToken,
        schemas.RevokedTokenView,
        http="DELETE /api/tokens/{token_id}",
        needs_operator=True,
        raises=(TokenNotFound,),
    ),
    Operation("clear_tokens", tokens.clear, schemas.ClearTokens, schemas.ClearedTokensView, needs_operator=True),
)
