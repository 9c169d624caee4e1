"""Clients that misbehave on purpose."""

import base64
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 4096


@contextmanager
def stalled_websocket(port: int, query: str = "") -> Iterator[socket.socket]:
    """Open a WebSocket and never read from it. Its kernel buffers are as small as possible."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        connection.settimeout(5)
        connection.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET /ws/updates{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        yield connection


KINDS = {0x1: "text", 0x8: "close", 0x9: "ping", 0xA: "pong"}


def read_frames(connection: socket.socket) -> Iterator[tuple[str, bytes]]:
    """Yield the kind and the body of each frame from the server.

    The last kind is `close`, or `end` when the server disconnects without a close frame.
    """
    while head := _read(connection, 2):
        length = head[1]
        if length == 126:
            (length,) = struct.unpack("!H", _read(connection, 2))
        elif length == 127:
            (length,) = struct.unpack("!Q", _read(connection, 8))
        kind, body = KINDS[head[0] & 0x0F], _read(connection, length)
        yield kind, body
        if kind == "close":
            return
    yield "end", b""


def _read(connection: socket.socket, length: int) -> bytes:
    """Read this number of bytes, or fewer when the server disconnects."""
    found = bytearray()
    while len(found) < length and (some := connection.recv(length - len(found))):
        found += some
    return bytes(found)
