"""Large results that are encoded once and kept until the next commit."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

SNAPSHOTS = 64
SNAPSHOT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Snapshot:
    """A result as JSON, as of the commit `generation`."""

    generation: int
    body: bytes


class Snapshots:
    """A cache of results of the last commit, with limits on their number and their total bytes."""

    def __init__(self, *, number: int = SNAPSHOTS, size: int = SNAPSHOT_BYTES) -> None:
        self._number = number
        self._size = size
        self._entries: dict[str, Snapshot] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def get(self, name: str, generation: Callable[[], int], encode: Callable[[], Awaitable[bytes]]) -> Snapshot:
        """Return the result `name` as of the present `generation`. Encode it once, also for concurrent callers."""
        async with self.lock(name):
            present = generation()
            entry = self.find(name, present)
            if entry is None:
                entry = Snapshot(present, await encode())
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
        size = sum(len(entry.body) for entry in self._entries.values())
        while len(self._entries) > 1 and (len(self._entries) > self._number or size > self._size):
            size -= len(self._entries.pop(next(iter(self._entries))).body)

    def lock(self, name: str) -> anyio.Lock:
        """Return the lock of the result `name`. Callers hold it while they encode."""
        if len(self._locks) > self._number:
            self._locks = {name: lock for name, lock in self._locks.items() if lock.locked()}
        return self._locks.setdefault(name, anyio.Lock())
