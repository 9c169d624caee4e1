"""Calls that wait: for a task, first come first served, and for events. They wait on the loop and hold no thread."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio
import anyio.lowlevel

from project_manager.calls import Answer, Caller, key_of
from project_manager.contract import commands, faults
from project_manager.domain.actors import Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.events import MAY_MAKE_READY
from project_manager.hub import UNBOUNDED, Hub
from project_manager.logs import log_action
from project_manager.services import leases
from project_manager.store.transaction import Tx
from project_manager.store.writer import Writer

log = logging.getLogger(__name__)

Written = TypeVar("Written")
Ask = Callable[[], Awaitable[Answer]]
"""Asks once, without waiting."""


class AskAs(Protocol):
    """Asks once with another use case in the place of the operation's own."""

    def __call__(self, use_case: Callable[..., Any], /) -> Awaitable[Answer]: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """What calls of one process that wait need. `tickets` are the places in the queue that the process keeps alive."""

    hub: Hub
    writer: Writer
    tickets: set[int]

    async def claim(
        self, ask: AskAs, command: commands.ClaimNextTask, actor: Actor, caller: Caller, called_at: int
    ) -> Answer:
        """Asks at once, then takes a place in the queue and asks again whenever something may have become ready. Who
        goes away meanwhile leaves no task behind. `called_at` is when the call came in, in milliseconds.
        """
        answer = await _to_its_end(ask(leases.claim_next))
        if not _has_one(answer):
            answer = await self._claim_in_queue(ask, command, actor, caller, called_at)
        if not _has_one(answer):
            # Ask once more, for the blockers.
            answer = await _to_its_end(ask(partial(leases.claim_next, called_at=called_at)))
        await self._hand_over(answer, command, actor, caller)
        return answer

    async def events(self, ask: Ask, command: commands.ListEvents) -> Answer:
        """The next events; after `wait_seconds` the empty page."""
        wanted = frozenset(command.types) or None
        async with self.hub.subscribe(project_id=command.project_id, types=wanted, limit=UNBOUNDED) as subscription:
            with anyio.move_on_after(command.wait_seconds):
                while True:
                    answer = await ask()
                    if answer.view.items or answer.view.resync:
                        return answer
                    await subscription.next_batch()
        return await ask()

    async def _claim_in_queue(
        self, ask: AskAs, command: commands.ClaimNextTask, actor: Actor, caller: Caller, called_at: int
    ) -> Answer:
        async with self.hub.subscribe(types=MAY_MAKE_READY, limit=UNBOUNDED) as subscription:
            enter = partial(leases.enter_queue, command=command)
            ticket = await _to_its_end(self.writer.run("enter_queue", enter, actor, caller.request_id))
            self.tickets.add(ticket)
            served = False
            try:
                with anyio.move_on_after(command.wait_seconds):
                    while True:
                        in_turn = partial(leases.claim_in_turn, ticket=ticket, called_at=called_at)
                        answer = await _to_its_end(ask(in_turn))
                        served = _has_one(answer)
                        if served:
                            break
                        await subscription.next_batch()
            finally:
                self.tickets.discard(ticket)
                leave = partial(leases.leave_queue, command=command, ticket=ticket, served=served)
                with _said("leave_queue"):
                    await _to_its_end(self.writer.run("leave_queue", leave, actor, caller.request_id))
        return answer

    async def _hand_over(self, answer: Answer, claim: commands.ClaimNextTask, actor: Actor, caller: Caller) -> None:
        """When the caller has gone away meanwhile, gives the task back; under a key it can still be asked for."""
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            if _has_one(answer) and not answer.replayed and key_of(claim, caller) is None:
                with _said("give_back"):
                    await _to_its_end(self.writer.run("give_back", _gives_back(answer), actor, caller.request_id))
            raise


def _has_one(answer: Answer) -> bool:
    return answer.replayed or answer.view.task is not None


def _gives_back(answer: Answer) -> Callable[[Tx], object]:
    lock = answer.view.lock
    command = faults.read(commands.ReleaseTaskLock, {"task_id": lock.task_id, "fence": lock.fence})
    return partial(leases.release, command=command)


@contextmanager
def _said(step: str) -> Iterator[None]:
    """A last step that fails must not take the place of what was answered: its effect comes by itself in time."""
    try:
        yield
    except ProjectManagerError as error:
        log_action(log, step, logging.WARNING, outcome=error.code)


async def _to_its_end(write: Awaitable[Written]) -> Written:
    """A write that was begun takes effect, so that its answer must not be lost to a deadline."""
    with anyio.CancelScope(shield=True):
        written = await write
    return written  # noqa: RET504 to the type checker a cancel scope may swallow, so that nothing may return in it
