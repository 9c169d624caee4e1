"""Commands and views of tokens."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from project_manager.schemas import fields
from project_manager.schemas.commands import Command, Paged


class CreateToken(Command):
    name: fields.TokenName
    role: Literal["viewer", "agent", "operator"]
    agent_id: fields.AgentId | None = Field(None, description="bind the token to this agent id")
    attests: fields.Flag = Field(False, description="may record evidence with the source observed or ci")


class ListTokens(Paged):
    pass


class RevokeToken(Command):
    token_id: fields.Id


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token. `secret` is present only in the response to its creation."""

    id: int
    name: str
    role: str
    agent_id: str | None
    created_at: str
    revoked_at: str | None
    attests: bool
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class RevokedTokenView(TokenView):
    """A revoked token. If no token is left, `notice` describes the consequences."""

    notice: str | None = None


@dataclass(frozen=True, slots=True)
class ClearedTokensView:
    """The number of removed tokens, revoked ones included."""

    deleted: int


class ClearTokens(Command):
    pass
