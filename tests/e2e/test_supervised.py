"""The service under systemd reports its start, its watchdog signal and its stop."""

import signal
import socket
from pathlib import Path

from tests.e2e.conftest import Start
from tests.e2e.service import START_SECONDS, TIMEOUT


def test_the_service_reports_its_state_to_the_service_manager(prepare_service: Start, tmp_path: Path) -> None:
    service = prepare_service()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(START_SECONDS)
        service.spawn(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="100000")
        reports = [manager.recv(4096).decode() for _ in range(4)]
        assert service.is_healthy()
        service.signal(signal.SIGTERM)
        while not (last := manager.recv(4096).decode()).startswith("STOPPING=1"):
            assert last == "WATCHDOG=1"
        assert service.process.wait(TIMEOUT) == 0
    assert f"READY=1\nSTATUS=Serving on {service.url}/" in reports
    assert reports.count("WATCHDOG=1") == 3


def test_a_misspelt_setting_is_a_warning_in_the_log(prepare_service: Start) -> None:
    service = prepare_service()
    service.start(LOCK_CLEANUP_INTERVL="5")
    (line,) = service.lines("unknown_setting")
    assert line["level"] == "WARNING"
    assert line["message"].startswith("Unknown setting LOCK_CLEANUP_INTERVL in the environment; did you")
