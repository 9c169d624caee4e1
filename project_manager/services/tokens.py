"""Use cases of tokens: create, list, revoke, clear, and authenticate a caller."""

import hashlib
import secrets
from functools import partial

from project_manager.domain.actors import LOCAL, Actor, ActorKind, Role, check_agent_id
from project_manager.domain.errors import NameTaken, OperatorTokenRequired, TokenNotFound, Unauthorized
from project_manager.domain.events.tokens import TokenCreated, TokenRevoked, TokensCleared
from project_manager.domain.names import composed
from project_manager.schemas import tokens as schemas
from project_manager.schemas.views import Page
from project_manager.services import paging
from project_manager.services.serializers import view_of
from project_manager.store import events, seals, tokens
from project_manager.store.tokens import TokenRow
from project_manager.store.transaction import Tx

PREFIX = "pm_"
ALL_REVOKED = (
    "all tokens are revoked: every request is rejected until `project-manager token create` creates a token, "
    "or `project-manager token clear` disables authentication"
)
_ROLES = {"viewer": Role.VIEWER, "agent": Role.AGENT, "operator": Role.OPERATOR}


def authorize_create(command: schemas.CreateToken, actor: Actor, interface: str) -> None:
    """Raise OperatorTokenRequired when a caller without a token creates a token that is not an operator's.

    The first token turns authentication on, and only an operator may create further tokens. The CLI needs no token, so
    it is exempt.
    """
    if actor is LOCAL and interface != "cli" and command.role != "operator":
        raise OperatorTokenRequired(
            "the first token must have the role operator: once a token exists, every request needs one, and only "
            "operators create tokens"
        )


def create(tx: Tx, command: schemas.CreateToken) -> schemas.TokenView:
    """Create a token. Its secret is only in this response; the server stores only a hash.

    With agent_id the token acts only as that agent. From the first token on, REST, WebSocket and MCP over HTTP require
    one, even when all are revoked. The name is free again when the token is revoked.
    """
    if command.agent_id is not None:
        check_agent_id(command.agent_id)
    if tokens.get_by_name(tx, command.name) is not None:
        raise NameTaken(
            f"the token name {command.name!r} is already used",
            hint=f"Choose another name, or revoke that one first: `project-manager token revoke {command.name}`.",
            name=command.name,
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    row = tokens.add(tx, command.name, command.role, command.agent_id, digest(secret), attests=command.attests)
    _emit(tx, TokenCreated, row)
    return _view(row, secret)


def list_tokens(tx: Tx, command: schemas.ListTokens) -> Page[schemas.TokenView]:
    """List the tokens, revoked ones included, without their secrets."""
    after = paging.start_id(command, {})
    rows, has_more = tokens.page(tx, after=after, limit=command.limit)
    return paging.page(command, {}, rows, has_more, partial(tokens.count, tx), item=_view)


def revoke(tx: Tx, command: schemas.RevokeToken) -> schemas.RevokedTokenView:
    """Revoke a token. It no longer gives access.

    Without a live token every request is refused; `notice` explains it. Access never reopens by itself.
    """
    row = tokens.get(tx, command.token_id)
    if row is None:
        raise TokenNotFound(f"token {command.token_id} not found", token_id=command.token_id)
    if row.revoked_at is None:
        row = tokens.revoke(tx, row.id)
        _emit(tx, TokenRevoked, row)
    notice = None if tokens.count_live(tx) else ALL_REVOKED
    return view_of(schemas.RevokedTokenView, row, notice=notice)


def clear(tx: Tx, command: schemas.ClearTokens) -> schemas.ClearedTokensView:
    """Delete every token, at the command line only. Without AUTH_REQUIRED every interface is then open."""
    cleared = tokens.clear(tx)
    if cleared:
        events.add(tx, TokensCleared(tokens=cleared))
    return schemas.ClearedTokensView(cleared)


def identify(tx: Tx, secret: str | None, *, required: bool) -> Actor:
    """Authenticate a secret and return its actor. Raises Unauthorized.

    Unless `required`, every caller is the local person until the first token is created. Access stays closed when all
    tokens are revoked.
    """
    if secret is None:
        if required or tokens.count_all(tx):
            raise Unauthorized("authentication required")
        return LOCAL
    row = tokens.get_by_hash(tx, digest(secret))
    if row is None:
        raise Unauthorized("the token is unknown or revoked")
    role = _ROLES[row.role]
    if row.agent_id is not None:
        return Actor(composed(row.agent_id), "agent", role, bound=True, token_id=row.id, attests=bool(row.attests))
    kind: ActorKind = "agent" if row.role == "agent" else "human"
    return Actor(composed(row.name), kind, role, token_id=row.id, attests=bool(row.attests))


def is_bound(tx: Tx, agent_id: str) -> bool:
    """Return whether a live token is bound to this agent id."""
    return tokens.is_bound(tx, agent_id)


def digest(secret: str) -> str:
    """Return the hash of a secret, as it is stored. Secrets have 256 random bits, so a plain hash is safe."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _emit(tx: Tx, kind: type[TokenCreated], row: TokenRow) -> None:
    event = kind(
        {"id": row.id, "name": row.name, "role": row.role, "agent_id": row.agent_id, "attests": bool(row.attests)}
    )
    events.add(tx, event, sealed=seals.stored(tx, "tokens", "id", row.id))


def _view(row: TokenRow, secret: str | None = None) -> schemas.TokenView:
    return view_of(schemas.TokenView, row, secret=secret)
