"""Revocation of open streams.

A revoked token ends its streams, also when another process revokes it. When the first token is created, the streams
without a token end.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from project_manager.domain.errors import Unauthorized
from project_manager.observability.logging import log_action
from project_manager.runtime.authentication import Read
from project_manager.runtime.background import SERVICE, BackgroundJobs, Job, every
from project_manager.services import tokens
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = 2.0

Secret = str | None
Cancel = Callable[[], object]


class RevocationWatch:
    """The open streams by the secret of their token, or None. `required` ends every stream without a token."""

    def __init__(self, read: Read, jobs: BackgroundJobs, *, required: bool) -> None:
        self._ends: dict[Secret, dict[object, Cancel]] = {}
        self._read = read
        self._required = required
        jobs.register(Job("revocation", self._check_tokens, every(CHECK_INTERVAL_SECONDS), SERVICE))

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

    async def _check_tokens(self) -> None:
        """End the streams with an invalid token. Streams stay open while the database cannot be read."""
        if not self._ends:
            return
        find = partial(_invalid_tokens, secrets=list(self._ends), required=self._required)
        for secret in await self._read("invalid_tokens", find):
            ends = list(self._ends.get(secret, {}).values())
            for end in ends:
                try:
                    end()
                except Exception:
                    log.exception("cannot close a stream", extra={"action": "open_streams_failed"})
            reason = "token_needed" if secret is None else "token_revoked"
            log_action(log, "streams_ended", reason=reason, streams=len(ends))


def _invalid_tokens(tx: Tx, *, secrets: list[Secret], required: bool) -> list[Secret]:
    invalid = []
    for secret in secrets:
        try:
            tokens.identify(tx, secret, required=required)
        except Unauthorized:
            invalid.append(secret)
    return invalid
