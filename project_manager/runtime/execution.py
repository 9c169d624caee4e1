"""Execution of calls on the readers and the writer. Each call confirms the leases that its agent got by a long poll."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from project_manager.domain.actors import Actor
from project_manager.domain.errors import Conflict, Invalid, NotFound, PreconditionFailed, ProjectManagerError
from project_manager.domain.messages import DeliveredMessage
from project_manager.domain.paths import GlobComparisons
from project_manager.observability.logging import log_action
from project_manager.runtime import idempotency
from project_manager.runtime.authentication import IdentityCache
from project_manager.runtime.calls import Call, Caller, OperationResult
from project_manager.runtime.expiring_leases import ExpiringLeases
from project_manager.runtime.message_delivery import AGENTS_REMEMBERED, MessageDelivery
from project_manager.services import claim_queue, leases, messages, pauses, review_claims
from project_manager.services.resolve import TypoCheckRequired
from project_manager.store import agents
from project_manager.store.database import Database
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_MS = 5_000

_REFUSALS = (Conflict, Invalid, NotFound, PreconditionFailed)
"""Errors of a call that the service has understood and refused."""

UseCase = Callable[..., Any]
_NO_COMPARISONS: GlobComparisons = {}


class CallExecutor:
    """The runner of use cases in transactions."""

    def __init__(self, database: Database, identities: IdentityCache) -> None:
        self._database = database
        self._identities = identities
        self.delivery = MessageDelivery()
        self._expiring = ExpiringLeases()
        self._heartbeats: dict[str, int] = {}

    async def read(self, call: Call) -> OperationResult:
        """Run the use case of the call on a reader."""
        work = partial(self._result, call=call, use_case=call.operation.use_case)
        run = partial(
            self._database.readers.run, call.operation.name, actor=call.actor, request_id=call.caller.request_id
        )
        result: OperationResult | None = await run(lambda tx: None if self.delivery.is_due(tx, call) else work(tx))
        if result is None:
            delivered = await self._exchange(call)
            result = await run(work)
            result.messages = delivered
        return result

    async def deliver(self, call: Call) -> list[DeliveredMessage]:
        """Confirm the leases of the agent, and return the messages for a response that no write has made."""
        run, caller = self._database.readers.run, call.caller
        due = await run("messages_due", partial(self.delivery.is_due, call=call), call.actor, caller.request_id)
        return await self._exchange(call) if due else []

    async def _exchange(self, call: Call) -> list[DeliveredMessage]:
        """Write the acknowledgements and confirmations of the call, and return the messages for its response."""
        exchange = partial(self.delivery.exchange, call=call)
        try:
            found: list[DeliveredMessage] = await self._database.writer.run(
                "exchange", exchange, call.actor, call.caller.request_id
            )
        except ProjectManagerError as error:  # the result of the call does not depend on this write
            log_action(log, "exchange", logging.WARNING, outcome=error.code, actor=call.actor.id)
            return []
        self.delivery.committed(call, found, self._database.clock.now())
        return found

    async def write_with_names(
        self, call: Call, use_case: UseCase, comparisons: GlobComparisons = _NO_COMPARISONS
    ) -> OperationResult:
        """Run a use case that may create a project or an epic by name, once more for each new name.

        Before each repetition a reader compares the new name with the existing ones. Raises Invalid for a name that is
        probably a misspelling.
        """
        compared: frozenset[str] = frozenset()
        while True:
            try:
                return await self.write(call, use_case, compared, comparisons)
            except TypoCheckRequired as new:
                await self._database.readers.run("compare_names", new.check, call.actor, call.caller.request_id)
                compared |= {new.name}

    async def write(
        self,
        call: Call,
        use_case: UseCase,
        new_names: frozenset[str] = frozenset(),
        comparisons: GlobComparisons = _NO_COMPARISONS,
    ) -> OperationResult:
        """Run a use case of the call on the writer."""
        noted_at: int | None = None
        await self._identities.check_agent(call.caller.actor, call.actor)  # again, because the caller may have waited

        def work(tx: Tx) -> OperationResult:
            nonlocal noted_at
            tx.new_names, tx.glob_comparisons = new_names, comparisons
            leases.confirm(tx, call.called_at)
            result = self.write_in(tx, call, use_case)
            noted_at = tx.now if not result.replayed and self._needs_heartbeat(tx) else None
            return result

        try:
            result: OperationResult = await self._database.writer.run(
                call.operation.name, work, call.actor, call.caller.request_id
            )
        except _REFUSALS as error:
            # The rollback has undone the confirmation of leases, and a refused call is a heartbeat too.
            if call.actor.is_agent:
                error.messages = await self.deliver(call)
            raise
        if call.actor.is_agent:
            self.delivery.committed(call, result.messages, self._database.clock.now())
        if noted_at is not None:
            if len(self._heartbeats) > AGENTS_REMEMBERED:
                self._heartbeats.clear()
            self._heartbeats[call.actor.id] = noted_at
        return result

    def write_in(self, tx: Tx, call: Call, use_case: UseCase) -> OperationResult:
        """Run a use case of the call in an open transaction, or replay the stored result of its idempotency key."""
        self.delivery.acknowledge(tx, call)
        replay = idempotency.find_replay(tx, call)
        if replay is not None:
            replay.messages = messages.deliver(tx)
            return replay
        if not call.operation.while_stopped:
            pauses.check_not_stopped(tx)
        result = self._result(tx, call=call, use_case=use_case)
        if self._needs_heartbeat(tx):
            agents.touch(tx)
        idempotency.store(tx, call, result)
        if call.has_effect(result.view):  # a claim without a task goes on searching
            result.messages = messages.deliver(tx)
        return result

    async def has_work_to_review(self, call: Call) -> bool:
        """Return whether a claim for review would find a task. Only then it is worth a write."""

        def find(tx: Tx) -> bool:
            return review_claims.find(tx, claim_queue.claim_filters(tx, call.command)) is not None

        found: bool = await self._database.readers.run("find_review", find, call.actor, call.caller.request_id)
        return found

    async def confirm_leases(self, actor: Actor, caller: Caller, called_at: int) -> None:
        """Confirm the leases that the actor got by long polls before this call. Write only if there are any."""
        check = partial(leases.has_unconfirmed, called_at=called_at)
        if await self._database.readers.run("unconfirmed", check, actor, caller.request_id):
            confirm = partial(leases.confirm, called_at=called_at)
            try:
                await self._database.writer.run("confirm", confirm, actor, caller.request_id)
            except ProjectManagerError as error:  # the result of the call does not depend on this write
                log_action(log, "confirm", logging.WARNING, outcome=error.code, actor=actor.id)

    def _result(self, tx: Tx, *, call: Call, use_case: UseCase) -> OperationResult:
        """Return the result of the use case, with the leases of an agent that end soon."""
        result = OperationResult(use_case(tx, call.command))
        if call.caller.is_agent:
            result.expiring_leases = self._expiring.of(tx)
        return result

    def _needs_heartbeat(self, tx: Tx) -> bool:
        """Return whether this process has noted no heartbeat of the actor for HEARTBEAT_INTERVAL_MS."""
        return tx.now - self._heartbeats.get(tx.actor.id, 0) >= HEARTBEAT_INTERVAL_MS
