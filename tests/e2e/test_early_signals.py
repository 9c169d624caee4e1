"""Signals in the first moments of the process, also without a default action for signals."""

import re
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import START_SECONDS, Service


def handles(service: Service, number: signal.Signals) -> bool:
    """Return whether the process has a handler for the signal, as Linux shows it."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s+(\w+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def has_loaded(service: Service) -> bool:
    """Return whether the libraries of the service are loaded."""
    return "uvloop" in Path(f"/proc/{service.pid}/maps").read_text()


@pytest.mark.parametrize("loaded", [False, True], ids=["before-the-libraries", "while-it-starts"])
def test_sigterm_ends_a_process_that_has_just_started(prepare_service: Start, loaded: bool) -> None:
    """A process that ignores SIGTERM stands for process 1 of a container, for which signals have no default action."""
    service = prepare_service(empty=True)
    service.launcher = ["env", "--ignore-signal=TERM"]
    service.spawn()
    service.wait_until(lambda: handles(service, signal.SIGTERM) and (has_loaded(service) or not loaded), START_SECONDS)
    service.signal(signal.SIGTERM)
    assert service.process.wait(START_SECONDS) in (-signal.SIGTERM, 0)


def test_an_interrupt_in_the_first_moments_leaves_no_traceback(prepare_service: Start) -> None:
    service = prepare_service(empty=True)
    service.spawn()
    service.wait_until(lambda: handles(service, signal.SIGTERM), START_SECONDS)
    service.signal(signal.SIGINT)
    assert service.process.wait(START_SECONDS) in (-signal.SIGINT, 1)
    assert "Traceback" not in service.log
