"""Idempotency: the stored result of a key is replayed, and another request with that key is refused."""

import hashlib
from collections.abc import Iterator

import orjson

from project_manager.domain.errors import IdempotencyMismatch
from project_manager.runtime.calls import Call, OperationResult
from project_manager.schemas.commands import Command
from project_manager.store import idempotency
from project_manager.store.transaction import Tx


def find_replay(tx: Tx, call: Call) -> OperationResult | None:
    """Return the stored result of the call's idempotency key, or None. Raises IdempotencyMismatch."""
    if call.key is None:
        return None
    stored = idempotency.find(tx, call.key)
    if stored is None:
        return None
    stored_hash, body = stored
    if stored_hash not in _hashes(tx.actor.id, call):
        raise IdempotencyMismatch.of("request_id", f"idempotency key {call.key!r} was used for a different request")
    return OperationResult(orjson.loads(body), replayed=True, encoded=body.encode())


def store(tx: Tx, call: Call, result: OperationResult) -> None:
    """Store a result with an effect under the call's idempotency key, if there is one."""
    if call.key is not None and call.has_effect(result.view):
        idempotency.add(tx, call.key, request_hash(call, call.command), result.body.decode())


def request_hash(call: Call, command: Command) -> str:
    """Return the SHA-256 of an operation and the input of its client, without the idempotency key."""
    text = call.operation.name + command.model_dump_json(exclude={"request_id", *call.caller.added}, exclude_unset=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _hashes(agent_id: str, call: Call) -> Iterator[str]:
    """Yield the hashes of a request with and without its agent id, which a client may learn between two attempts."""
    command, acts_as = call.command, call.operation.acts_as
    yield request_hash(call, command)
    if acts_as:
        yield request_hash(call, command.model_copy(update={acts_as: agent_id}))
        unset = command.model_copy()
        unset.model_fields_set.discard(acts_as)
        yield request_hash(call, unset)
