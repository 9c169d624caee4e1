"""Log records of the SDK that report no error."""

import logging
import sys

import anyio
import pytest

from project_manager.mcp.transport.sessions import is_fault


def logged(error: Exception | None) -> logging.LogRecord:
    """Return the record of `logger.exception` while this error is handled."""
    try:
        if error is not None:
            raise error
    except Exception:  # noqa: BLE001 any exception is logged
        return logging.LogRecord("sdk", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    return logging.LogRecord("sdk", logging.ERROR, "", 0, "it failed", (), None)


CLOSED = anyio.ClosedResourceError()


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (CLOSED, False),
        (anyio.BrokenResourceError(), False),
        (ExceptionGroup("", [CLOSED, ExceptionGroup("", [CLOSED])]), False),
        (ExceptionGroup("", [CLOSED, ValueError()]), True),
        (ValueError(), True),
        (None, True),
    ],
)
def test_only_a_stream_that_was_closed_is_no_fault(error: Exception | None, fault: bool) -> None:
    assert is_fault(logged(error)) is fault
