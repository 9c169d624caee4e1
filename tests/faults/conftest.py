import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import Start, make_service, prepare_service, start_service
from tests.e2e.service import Service
from tests.faults.shim import Shim
from tests.stored_rows import Address

__all__ = ["make_service", "prepare_service", "shim", "shim_library", "start_service"]


@pytest.fixture
def make_service_on(database: Address) -> Start:
    """Return the constructor of a service on the database of the test: a file, or one on a server.

    A module for both databases returns it from its `make_service`.
    """
    return Service if isinstance(database, Path) else partial(Service, DATABASE_PATH="", DATABASE_URL=database)


@pytest.fixture(scope="session")
def shim_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Werror",
        "-o",
        str(library),
        str(source),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True, timeout=60)
    return library


@pytest.fixture
def shim(shim_library: Path, tmp_path: Path) -> Shim:
    """Return the simulated disk and clock of the test."""
    return Shim(shim_library, tmp_path)
