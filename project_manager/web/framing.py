"""Boundaries of HTTP/1.1 requests in the input: the parser receives heads as a whole, and one request at a time."""

import re

from project_manager.web.connections import HEAD_BYTES, HEADER_LINES

_END = b"\r\n\r\n"
_OTHER_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:(?![ \t]*websocket[ \t]*\r)[^\r\n]*", re.IGNORECASE)
"""Header Upgrade of an unsupported protocol, such as h2c."""
_ANY_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:[^\r\n]*", re.IGNORECASE)
_BODY_ANNOUNCED = re.compile(rb"\r\n(?:content-length[ \t]*:[ \t]*0*[1-9]|transfer-encoding[ \t]*:)", re.IGNORECASE)


class HeadBuffer:
    """Buffer for the beginning of a head, because the parser joins the pieces of a line in quadratic time."""

    def __init__(self) -> None:
        self.is_malformed = False
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def is_too_large(self) -> bool:
        return len(self._bytes) > HEAD_BYTES

    def clear(self) -> None:
        self._bytes.clear()

    def take(self, data: bytes | bytearray, start: int) -> tuple[bytes | bytearray | None, int]:
        """Return the complete head, or None, and the offset of the remaining input."""
        if self._bytes:
            return self._join(data, start)
        if data[start] in b"\r\n":  # RFC 9112, section 2.2: blank lines before a request
            return None, len(data) - len(data[start:].lstrip(b"\r\n"))
        end = data.find(_END, start) + 4
        return (data[start:end], end) if end >= 4 else self._join(data, start)

    def _join(self, data: bytes | bytearray, start: int) -> tuple[bytes | None, int]:
        known = len(self._bytes)
        self._bytes += data[start : start + HEAD_BYTES + 4 - known]
        end = self._bytes.find(_END, max(known - 3, 0)) + 4
        if end >= 4:
            head = bytes(self._bytes[:end])
            self._bytes.clear()
            return head, start + end - known
        self.is_malformed = not self._bytes[:1].isalpha() or self._bytes.find(b"\n\n", max(known - 1, 0)) >= 0
        return None, len(data)


def is_too_large(head: bytes | bytearray) -> bool:
    """Return whether a complete head exceeds the limit of bytes or of lines."""
    size = len(head)
    return size > HEAD_BYTES or (size > 512 and head.count(b"\r\n") > HEADER_LINES + 2)


def without_other_upgrades(head: bytes | bytearray) -> bytes | bytearray:
    """Return the head without the header Upgrade, unless it opens a WebSocket: a GET without a body (RFC 9110, 7.8).

    httptools would parse the body of such a request as the next request.
    """
    if b"\r\nupgrade" not in head.lower():
        return head
    may_open = head[:4] == b"GET " and _BODY_ANNOUNCED.search(head) is None
    return (_OTHER_UPGRADE if may_open else _ANY_UPGRADE).sub(b"", head)


class SizedBody:
    """Body with a Content-Length."""

    def __init__(self, size: int) -> None:
        self._unread = size

    def end(self, data: bytes | bytearray, start: int) -> int:
        """Return the offset in `data` up to which the parser may read."""
        stop = min(len(data), start + self._unread)
        self._unread -= stop - start
        return stop


class ChunkedBody:
    """Body in chunks. A blank line may end it. The parser gets no bytes after one: it would keep a part of a head."""

    def __init__(self) -> None:
        self._tail = b""
        """Last bytes of the input, where a blank line may begin."""

    def end(self, data: bytes | bytearray, start: int) -> int:
        """Return the end of the next blank line, else the end of the data."""
        known = len(self._tail)
        straddling = (self._tail + data[start : start + 3]).find(_END)
        found = start - known + straddling if straddling >= 0 else data.find(_END, start)
        if straddling >= 0 or found >= 0:
            self._tail = b""
            return found + 4
        self._tail = bytes((self._tail + data[max(start, len(data) - 3) :])[-3:])
        return len(data)


def body_of(headers: list[tuple[bytes, bytes]]) -> SizedBody | ChunkedBody:
    """Return the framing of the body that these headers announce."""
    size = next((int(value) for name, value in headers if name == b"content-length"), None)
    return ChunkedBody() if size is None else SizedBody(size)


class DroppedTrailers(list[tuple[bytes, bytes]]):
    """List that drops the trailers of a chunked body, which the application must not mistake for headers."""

    def append(self, field: tuple[bytes, bytes]) -> None:
        pass
