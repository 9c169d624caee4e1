"""Opaque cursors: the position in a list, bound to the filters of its first page."""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping

from project_manager.domain.errors import MalformedCursor
from project_manager.domain.limits import ID_MAXIMUM


def write(position: tuple[int, ...], filters: Mapping[str, object]) -> str:
    """Return the cursor for a position in a list with these filters."""
    text = json.dumps([*position, _filters_digest(filters)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(cursor: str, filters: Mapping[str, object], length: int) -> tuple[int, ...]:
    """Return the position, `length` integers. Raises MalformedCursor, also for a cursor of other filters."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise MalformedCursor("`cursor` is invalid") from None
    if not isinstance(values, list) or len(values) != length + 1 or not all(_fits(value) for value in values):
        raise MalformedCursor("`cursor` is invalid")
    if values[-1] != _filters_digest(filters):
        raise MalformedCursor("`cursor` was issued for other filters")
    return tuple(values[:-1])


def _fits(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= ID_MAXIMUM


def _filters_digest(filters: Mapping[str, object]) -> int:
    return zlib.crc32(json.dumps(filters, sort_keys=True, default=str).encode())
