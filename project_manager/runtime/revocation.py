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
from project_manager.observability.logging import RateLimitedWarning, log_action
from project_manager.services import tokens
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0

Secret = str | None
Cancel = Callable[[], object]


class Read(Protocol):
    """A function that runs a read on a reader thread."""

    def __call__(self, name: str, work: Callable[[Tx], Any], /) -> Awaitable[Any]: ...


class RevocationWatch:
    """The open streams by the secret of their token. The key is None for streams without a token."""

    def __init__(self) -> None:
        self._ends: dict[Secret, dict[object, Cancel]] = {}
        self._warning = RateLimitedWarning(log, "open_streams_failed", "cannot check tokens")

    @contextmanager
    def registered(self, secret: Secret, end: Cancel) -> Iterator[None]:
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
                    await self._check_tokens(read, required)
            except Exception:
                log.exception("cannot check open streams", extra={"action": "open_streams_failed"})

    async def _check_tokens(self, read: Read, required: bool) -> None:
        try:
            gone = await read("who_is_let_in", partial(_invalid_tokens, secrets=list(self._ends), required=required))
        except ProjectManagerError as error:  # streams stay open while the database does not answer
            self._warning.failed(error.message)
            return
        self._warning.recovered()
        for secret in gone:
            ends = list(self._ends.get(secret, {}).values())
            for end in ends:
                _call(end)
            reason = "token_needed" if secret is None else "token_revoked"
            log_action(log, "streams_ended", reason=reason, streams=len(ends))


def _call(end: Cancel) -> None:
    try:
        end()
    except Exception:
        log.exception("cannot close a stream", extra={"action": "open_streams_failed"})


def _invalid_tokens(tx: Tx, *, secrets: list[Secret], required: bool) -> list[Secret]:
    return [secret for secret in secrets if not _is_valid(tx, secret, required)]


def _is_valid(tx: Tx, secret: Secret, required: bool) -> bool:
    try:
        tokens.identify(tx, secret, required=required)
    except Unauthorized:
        return False
    return True
