"""A simulated disk and clock for a service, controlled by the test. `shim.c` is the other half."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RECORD = struct.Struct("<IIqI")
WRITE, TRUNCATE, SYNC = 1, 2, 3
DATABASE, LOG = 1, 2


@dataclass(frozen=True, slots=True)
class Change:
    """One change to a file. `end` is the end of its record in the journal; `at` is an offset or a length."""

    end: int
    kind: int
    file: int
    at: int
    data: bytes


class Shim:
    """Control of the disk and clock of services that are started with `variables`."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self._control = folder / "control"
        self._control.write_bytes(bytes(mmap.PAGESIZE))
        with self._control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.journal = folder / "journal"

    def variables(self, database: Path, *, journal: bool = False) -> dict[str, str]:
        found = {
            "LD_PRELOAD": str(self._library),
            "PM_SHIM_CONTROL": str(self._control),
            "PM_SHIM_DATABASE": str(database),
        }
        return {**found, "PM_SHIM_JOURNAL": str(self.journal)} if journal else found

    def shift_clock(self, seconds: float) -> None:
        """Shift the wall clock by this much."""
        self._map[0:8] = struct.pack("<q", int(seconds * 1e9))

    def fail_sync(self, failing: bool) -> None:
        """Let fsync fail with EIO, so that written data does not reach the disk."""
        self._map[8:12] = struct.pack("<i", failing)

    def fill_disk(self, full: bool) -> None:
        """Let every write fail that makes a file longer."""
        self._map[12:16] = struct.pack("<i", full)

    def stop_at_sync(self) -> None:
        """Stop the process in the middle of its next commit, while it has the write lock of the database."""
        self._map[16:20] = struct.pack("<i", 1)

    def hold_sync(self, holding: bool) -> None:
        """Block every fsync until it is released."""
        self._map[20:24] = struct.pack("<i", holding)

    def fail_reads(self, begin: int) -> None:
        """Let reads from this byte of the database on fail; 0 ends it."""
        self._map[24:28] = struct.pack("<i", begin)

    @property
    def written(self) -> int:
        """Return the current length of the journal."""
        return self.journal.stat().st_size

    def changes(self) -> Iterator[Change]:
        record, position = self.journal.read_bytes(), 0
        while position < len(record):
            kind, file, at, length = RECORD.unpack_from(record, position)
            begin = position + RECORD.size
            position = begin + (length if kind == WRITE else 0)
            yield Change(position, kind, file, at, record[begin:position])
