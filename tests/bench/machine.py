"""The machine of the measurements."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

from project_manager.store.sqlite import driver
from tests.bench.sampling import calibration, number, spread

LIBRARIES = ("starlette", "uvicorn", "uvloop", "SQLAlchemy", "pydantic", "mcp")


def description(folder: Path) -> str:
    """Return processor, disk and versions in a paragraph. Absolute figures have no meaning without it."""
    syncs = spread([_syncs(folder) for _ in range(3)])
    loops = spread([calibration() for _ in range(5)])
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{os.cpu_count()} cores of {_processor()}, load {os.getloadavg()[0]:.1f} at the start; Linux "
        f"{platform.release()}, Python {platform.python_version()}, SQLite "
        f"{'.'.join(map(str, driver.SQLITE_VERSION))}, {libraries}. One thread overwrites 4 KiB and calls fdatasync "
        f"{syncs} times a second; a fixed loop of Python takes {loops} ms ({number(loops.high / loops.low)} x between "
        "its best and its worst: other work on the machine)."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _syncs(folder: Path) -> float:
    page = os.urandom(4096)
    handle = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    try:
        os.pwrite(handle, page, 0)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < 0.3:
            os.pwrite(handle, page, 0)
            os.fdatasync(handle)
            count += 1
        return count / (time.perf_counter() - began)
    finally:
        os.close(handle)
