"""The log: one line per operation, as JSON or text, on standard error and in a rotated file."""

from __future__ import annotations

import logging
import re
import sys
import time
from contextvars import ContextVar
from functools import lru_cache
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import orjson
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

FILE_BYTES = 10 * 1024 * 1024
OLDER_FILES = 5

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Identifies the request that is being answered; each log line written meanwhile carries it."""


def configure(level: str, format: str, file: str = "") -> None:
    """Send this program's log to standard error and, unless `file` is empty, to that file too.

    Other libraries are heard from WARNING on. Raises OSError when the file cannot be opened.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=OLDER_FILES, encoding="utf-8"))
    formatter = JsonLines() if format == "json" else TextLines()
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, JsonLines | TextLines):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_put_request_id)
        root.addHandler(handler)
    wanted = logging.getLevelNamesMapping()[level]
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger("project_manager").setLevel(wanted)


def log_action(logger: logging.Logger, action: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Write the line of one operation: a stable word for what was done, and its fields."""
    if logger.isEnabledFor(level):
        record = logger.makeRecord(logger.name, level, "", 0, action, (), None)
        record.fields = fields
        logger.handle(record)


def _put_request_id(record: logging.LogRecord) -> bool:
    record.request_id = request_id.get()
    return True


class JsonLines(OrjsonFormatter):
    """One JSON object a line: timestamp, level, logger, message, request_id, then the line's own fields."""

    def __init__(self) -> None:
        super().__init__(reserved_attrs=[*RESERVED_ATTRS, "request_id"])

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["timestamp"] = _timestamp(record)
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = record.message
        if known := getattr(record, "request_id", ""):
            log_data["request_id"] = known
        fields = getattr(record, "fields", None)
        if fields is None:
            super().add_fields(log_data, record, message_dict)
            return
        log_data["action"] = record.msg
        log_data.update(fields)
        log_data.update(message_dict)


class TextLines(logging.Formatter):
    """The same for people: time, level, logger and message, then the fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        fields: dict[str, object] = dict(getattr(record, "fields", ()))
        if known := getattr(record, "request_id", ""):
            fields["request_id"] = known
        pairs = "".join(f" {name}={_word(value)}" for name, value in fields.items())
        line = f"{_timestamp(record)} {record.levelname} {record.name}: {record.message}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _timestamp(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


def _word(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) and text.isprintable() else orjson.dumps(text).decode()
