"""Clients that behave badly on purpose."""

import base64
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 4096


@contextmanager
def stalled_websocket(port: int, query: str = "") -> Iterator[socket.socket]:
    """A WebSocket that is open and never read; the kernel holds as little for it as it can."""
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
