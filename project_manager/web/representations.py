"""Representations of large results: their entity tags and compressed bodies, computed once for each snapshot."""

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from project_manager.runtime.snapshots import Snapshot

LARGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Representation:
    """A body with its entity tag. The tag of a compressed body is weak, because other bytes have the same meaning."""

    body: bytes
    etag: str
    gzipped: bool = False


@dataclass(slots=True)
class _Forms:
    """The forms of one snapshot. `lock` is held while a thread compresses it."""

    tag: str = ""
    gzipped: bytes = b""
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class Representations:
    """A cache of the representations of snapshots. It drops those of a snapshot that is no longer in memory."""

    def __init__(self) -> None:
        self._forms: WeakKeyDictionary[Snapshot, _Forms] = WeakKeyDictionary()

    def __len__(self) -> int:
        """Return the number of snapshots with a representation."""
        return len(self._forms)

    async def get(self, snapshot: Snapshot, *, accepts_gzip: bool) -> Representation:
        """Return the snapshot, compressed if that is accepted and the body has more than LARGE_BYTES."""
        if len(snapshot.body) <= LARGE_BYTES:
            return Representation(snapshot.body, f'"{_digest(snapshot.body)}"')
        forms = self._forms.setdefault(snapshot, _Forms())
        async with forms.lock:
            if not forms.tag:
                forms.gzipped = await anyio.to_thread.run_sync(partial(gzip.compress, snapshot.body, 1, mtime=0))
                forms.tag = _digest(forms.gzipped)  # it identifies the body too, and takes a fraction of the time
        if accepts_gzip:
            return Representation(forms.gzipped, f'W/"{forms.tag}"', gzipped=True)
        return Representation(snapshot.body, f'"{forms.tag}"')


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()
