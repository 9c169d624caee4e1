"""Large answers that are encoded once and kept until the next commit."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

SNAPSHOTS = 64
SNAPSHOT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Snapshot:
    """An answer as JSON, as of the commit `generation`."""

    generation: int
    body: bytes


class Snapshots:
    """A cache of answers of the last commit, with a limit of their number and total bytes."""

    def __init__(self, *, number: int = SNAPSHOTS, size: int = SNAPSHOT_BYTES) -> None:
        self._number = number
        self._size = size
        self._kept: dict[str, Snapshot] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def get(self, name: str, generation: Callable[[], int], encode: Callable[[], Awaitable[bytes]]) -> Snapshot:
        """Return the answer `name` as of the present `generation`. Encode it once, also for concurrent callers."""
        async with self.lock(name):
            present = generation()
            kept = self.find(name, present)
            if kept is None:
                kept = Snapshot(present, await encode())
                self.keep(name, kept)
            return kept

    def find(self, name: str, generation: int) -> Snapshot | None:
        """Return the answer `name` as of the commit `generation`, or None when it is not in the cache."""
        kept = self._kept.get(name)
        return kept if kept is not None and kept.generation == generation else None

    def keep(self, name: str, snapshot: Snapshot) -> None:
        """Store the answer. Over the limits, evict the oldest ones, but never this one."""
        self._kept.pop(name, None)
        self._kept[name] = snapshot
        size = sum(len(kept.body) for kept in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > self._number or size > self._size):
            size -= len(self._kept.pop(next(iter(self._kept))).body)

    def lock(self, name: str) -> anyio.Lock:
        """Return the lock of the answer `name`. Callers hold it while they encode."""
        if len(self._locks) > self._number:
            self._locks = {name: lock for name, lock in self._locks.items() if lock.locked()}
        return self._locks.setdefault(name, anyio.Lock())
