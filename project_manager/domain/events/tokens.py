"""Events of tokens."""

from typing import Annotated, TypedDict

from project_manager.domain.events.event import Event


class TokenFields(TypedDict):
    """A token, without its secret."""

    id: int
    name: str
    role: str
    agent_id: str | None
    attests: bool


class TokenCreated(Event):
    """A token was created."""

    type = "token.created"
    is_operator_only = True
    token: TokenFields


class TokenRevoked(TokenCreated):
    """A token was revoked."""

    type = "token.revoked"


class TokensCleared(Event):
    """All tokens were deleted."""

    type = "tokens.cleared"
    is_operator_only = True
    tokens: Annotated[int, "number of deleted tokens"]
