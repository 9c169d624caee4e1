"""Large results that are encoded once and kept until the next commit."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

SNAPSHOTS = 64
SNAPSHOT_BYTES = 32 * 1024 * 1024


class Parts(Protocol):
    """Encoded parts of a result, which its use case keeps for the next result."""

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        ...


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Snapshot:
    """A result as JSON, as of the commit `generation`, and the parts of it that the next one can use."""

    generation: int
    body: bytes
    parts: Parts

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.body) + self.parts.size


class Snapshots:
    """A cache of results of the last commit, with limits on their number and their total bytes.

    A result of an earlier commit stays until it is replaced or evicted, because the next one can use its parts.
    """

    def __init__(self, *, number: int = SNAPSHOTS, size: int = SNAPSHOT_BYTES) -> None:
        self._number = number
        self._size = size
        self._entries: dict[str, Snapshot] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def get(
        self,
        name: str,
        generation: Callable[[], int],
        no_parts: Callable[[], Parts],
        encode: Callable[[Parts], Awaitable[bytes]],
    ) -> Snapshot:
        """Return the result `name` as of the present `generation`. Encode it once, also for concurrent callers.

        `encode` gets the parts of the last result, or those of `no_parts`.
        """
        async with self.lock(name):
            present = generation()
            entry = self.find(name, present)
            if entry is None:
                last = self._entries.get(name)
                parts = no_parts() if last is None else last.parts
                entry = Snapshot(present, await encode(parts), parts)
                self.put(name, entry)
            return entry

    def find(self, name: str, generation: int) -> Snapshot | None:
        """Return the result `name` as of the commit `generation`, or None when it is not in the cache."""
        entry = self._entries.get(name)
        return entry if entry is not None and entry.generation == generation else None

    def put(self, name: str, snapshot: Snapshot) -> None:
        """Store the result. Over the limits, evict the oldest ones, but never this one."""
        self._entries.pop(name, None)
        self._entries[name] = snapshot
        size = sum(entry.size for entry in self._entries.values())
        while len(self._entries) > 1 and (len(self._entries) > self._number or size > self._size):
            size -= self._entries.pop(next(iter(self._entries))).size

    def lock(self, name: str) -> anyio.Lock:
        """Return the lock of the result `name`. Callers hold it while they encode."""
        if len(self._locks) > self._number:
            self._locks = {name: lock for name, lock in self._locks.items() if lock.locked()}
        return self._locks.setdefault(name, anyio.Lock())
