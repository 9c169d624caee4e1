"""Revocation of open streams.

A revoked token ends the streams that were opened with it, also when another process revokes it. The first token ends
the streams that were opened without one.
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
    """A function that runs a read on a reader thread."""

    def __call__(self, name: str, work: Callable[[Tx], Any], /) -> Awaitable[Any]: ...


class OpenStreams:
    """The open streams by the secret of their token. The key is None for streams without a token."""

    def __init__(self) -> None:
        self._ends: dict[Secret, dict[object, End]] = {}
        self._trouble = Trouble(log, "open_streams_failed", "cannot check tokens")

    @contextmanager
    def registered(self, secret: Secret, end: End) -> Iterator[None]:
        """Register a stream while the body runs. Call `end` within a few seconds after the secret becomes invalid."""
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
        """Check the secrets of the open streams every LOOK_EVERY_SECONDS, and end streams with an invalid one.

        With `required`, a stream without a token is always ended.
        """
        while True:
            await anyio.sleep(LOOK_EVERY_SECONDS)
            try:
                if self._ends:
                    await self._look(read, required)
            except Exception:
                log.exception("cannot check open streams", extra={"action": "open_streams_failed"})

    async def _look(self, read: Read, required: bool) -> None:
        try:
            gone = await read("who_is_let_in", partial(_refused, secrets=list(self._ends), required=required))
        except ProjectManagerError as error:  # streams stay open while the database does not answer
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
        log.exception("cannot close a stream", extra={"action": "open_streams_failed"})


def _refused(tx: Tx, *, secrets: list[Secret], required: bool) -> list[Secret]:
    return [secret for secret in secrets if not _is_let_in(tx, secret, required)]


def _is_let_in(tx: Tx, secret: Secret, required: bool) -> bool:
    try:
        tokens.identify(tx, secret, required=required)
    except Unauthorized:
        return False
    return True
