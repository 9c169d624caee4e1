import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import make_service, prepare_service, start_service
from tests.faults.shim import Shim

__all__ = ["make_service", "prepare_service", "shim", "shim_library", "start_service"]


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
