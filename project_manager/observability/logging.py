"""The log: one line per operation, as JSON or text, on standard error and in a rotated file."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from functools import lru_cache
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import orjson
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from project_manager.domain.characters import escape_control_characters

FILE_BYTES = 10 * 1024 * 1024
OLDER_FILES = 5
REPEAT_SECONDS = 10.0

_request: ContextVar[tuple[str, int | None]] = ContextVar("request", default=("", None))
"""The ids of the current request and of its token. Each of its log lines contains them."""


def configure(level: str, format: str, file: str = "", *, quiet: bool = False) -> None:
    """Send the log to standard error, with `quiet` only from WARNING on, and to `file` if given.

    Other libraries log from WARNING on. Raises OSError when the file cannot be opened.
    """
    wanted = logging.getLevelNamesMapping()[level]
    if quiet and not file:
        wanted = max(wanted, logging.WARNING)
    handlers: list[logging.Handler] = [BufferedStreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.WARNING if quiet else logging.NOTSET)
    if file:
        with suppress(FileExistsError):  # opening the file below reports a parent that is not a folder
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=OLDER_FILES, encoding="utf-8"))
    formatter = JsonLines() if format == "json" else TextLines()
    root = logging.getLogger()
    # Replace the handlers of an earlier call. Other handlers, such as those of a test runner, stay.
    for old in root.handlers[:]:
        if isinstance(old.formatter, JsonLines | TextLines):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_add_context)
        root.addHandler(handler)
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger("project_manager").setLevel(wanted)


def bind_context(request: str, token: int | None) -> None:
    """Set the request id and the token id for later log lines of this task or thread."""
    _request.set((request, token))


def log_action(logger: logging.Logger, action: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Write the log line of one operation, with a stable action name and its fields."""
    if logger.isEnabledFor(level):
        logger.handle(ActionRecord(logger.name, level, action, fields))


class RateLimitedWarning:
    """A repeated failure, logged at its start, every `again` seconds (REPEAT_SECONDS if None), and at its end.

    The message starts with `what`, such as "cannot read events". `action` is its stable name.
    """

    def __init__(
        self,
        logger: logging.Logger,
        action: str,
        what: str,
        level: int = logging.WARNING,
        *,
        again: float | None = None,
    ) -> None:
        self._logger = logger
        self._level = level
        self._fields = {"action": action}
        self._what = what
        self._again = again
        self._logged_at: float | None = None

    def failed(self, error: object, *, traceback: bool = False) -> None:
        """Report a failed attempt. With `traceback`, the line has the traceback of the current exception."""
        now = time.monotonic()  # noqa: TID251 this package does not import project_manager.clock
        repeat_seconds = REPEAT_SECONDS if self._again is None else self._again
        if self._logged_at is None or now - self._logged_at >= repeat_seconds:
            self._logged_at = now
            self._logger.log(self._level, "%s: %s", self._what, error, extra=self._fields, exc_info=traceback)

    def recovered(self) -> None:
        """Report a successful attempt."""
        if self._logged_at is not None:
            self._logged_at = None
            self._logger.warning("%s: recovered", self._what, extra=self._fields)


class ActionRecord(logging.LogRecord):
    """Log record of an operation without the code location, which costs more than the rest of the line."""

    _nowhere = vars(logging.LogRecord("", 0, "", 0, "", (), None))

    def __init__(self, name: str, level: int, action: str, fields: dict[str, object]) -> None:
        self.__dict__.update(self._nowhere)
        self.name = name
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.msg = self.message = action
        self.created = time.time()  # noqa: TID251 like every record of `logging`
        self.msecs = self.created % 1 * 1000
        self.fields = fields


class BufferedStreamHandler(logging.StreamHandler[TextIO]):
    """A handler that writes the lines of one event loop iteration together at its end.

    A line from WARNING on, or without a running loop, is written at once.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._flushed_by: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
            if record.levelno >= logging.WARNING:
                self.flush()
            else:
                self._flush_later()
        except Exception:  # noqa: BLE001 like every handler: a failed write must not stop the caller
            self.handleError(record)

    def flush(self) -> None:
        with self.lock or nullcontext():
            lines, self._lines = self._lines, []
            self._flushed_by = None
            if lines:
                self.stream.write("\n".join(lines) + "\n")
        super().flush()

    def _flush_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._flushed_by is not loop:  # a loop that has ended does not run its pending flush
            self._flushed_by = loop
            loop.call_soon(self.flush)


def _add_context(record: logging.LogRecord) -> bool:
    record.request_id, record.token_id = _request.get()
    return True


class JsonLines(OrjsonFormatter):
    """A formatter with one JSON object per line: the fields of `_head`, then the line's own fields."""

    def __init__(self) -> None:
        super().__init__(reserved_attrs=[*RESERVED_ATTRS, "request_id", "token_id"])

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record, ActionRecord):
            return escape_control_characters(super().format(record))
        line = _head(record)
        line["action"] = record.msg
        line.update(record.fields)
        return escape_control_characters(orjson.dumps(line, default=str).decode())

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data.update(_head(record))
        super().add_fields(log_data, record, message_dict)


class TextLines(logging.Formatter):
    """A formatter with text lines: time, level, logger and message, then the fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        fields: dict[str, object] = dict(getattr(record, "fields", ()))
        fields.update(_context(record))
        pairs = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        line = f"{_timestamp(record)} {record.levelname} {record.name}: {record.message}{pairs}"
        return escape_control_characters(
            f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
        )


def _head(record: logging.LogRecord) -> dict[str, Any]:
    """Return the first fields of every line."""
    line: dict[str, Any] = {
        "timestamp": _timestamp(record),
        "level": record.levelname,
        "logger": record.name,
        "message": record.message,
    }
    line.update(_context(record))
    return line


def _context(record: logging.LogRecord) -> dict[str, object]:
    """Return the request id and the token id of a record, if present."""
    found: dict[str, object] = {}
    if request := getattr(record, "request_id", ""):
        found["request_id"] = request
    if (token := getattr(record, "token_id", None)) is not None:
        found["token_id"] = token
    return found


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _timestamp(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


def _quoted(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) and text.isprintable() else orjson.dumps(text).decode()
