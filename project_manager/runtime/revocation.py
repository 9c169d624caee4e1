"""Who has a stream open: a token that is revoked, here or by another process, ends what was opened with it, and the
first token ends what was opened without one.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import anyio

from project_manager.domain.errors import ProjectManagerError, Unauthorized
from project_manager.observability.logging import Trouble, log_action
from project_manager.services import tokens
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0

Secret = str | None
End = Callable[[], object]


class Read(Protocol):
    """Runs a read on a reader's thread."""

    def __call__(self, name: str, work: Callable[[Tx], Any], /) -> Awaitable[Any]: ...


class OpenStreams:
    """The open streams, by the secret that they came in with; None for those who came without one."""

    def __init__(self) -> None:
        self._ends: dict[Secret, dict[object, End]] = {}
        self._trouble = Trouble(log, "open_streams_failed", "tokens cannot be looked at")

    @contextmanager
    def registered(self, secret: Secret, end: End) -> Iterator[None]:
        """Calls `end` within a few seconds when the secret does not let in any more."""
        stream = object()
        self._ends.setdefault(secret, {})[stream] = end
        try:
            yield
        finally:
            streams = self._ends[secret]
            del streams[stream]
            if not streams:
                del self._ends[secret]

    async def watch(self, read: Read, *, required: bool) -> None:
        """Looks from time to time who is still let in. `required`: nobody is without a token."""
        while True:
            await anyio.sleep(LOOK_EVERY_SECONDS)
            try:
                if self._ends:
                    await self._look(read, required)
            except Exception:
                log.exception("open streams cannot be looked at", extra={"action": "open_streams_failed"})

    async def _look(self, read: Read, required: bool) -> None:
        try:
            gone = await read("who_is_let_in", partial(_refused, secrets=list(self._ends), required=required))
        except ProjectManagerError as error:  # nobody is sent away because the database does not answer
            self._trouble.goes_on(error.message)
            return
        self._trouble.is_over()
        for secret in gone:
            ends = list(self._ends.get(secret, {}).values())
            for end in ends:
                _call(end)
            reason = "token_needed" if secret is None else "token_revoked"
            log_action(log, "streams_ended", reason=reason, streams=len(ends))


def _call(end: End) -> None:
    try:
        end()
    except Exception:
        log.exception("an open stream cannot be ended", extra={"action": "open_streams_failed"})


def _refused(tx: Tx, *, secrets: list[Secret], required: bool) -> list[Secret]:
    return [secret for secret in secrets if not _is_let_in(tx, secret, required)]


def _is_let_in(tx: Tx, secret: Secret, required: bool) -> bool:
    try:
        tokens.identify(tx, secret, required=required)
    except Unauthorized:
        return False
    return True
