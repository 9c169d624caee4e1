"""Many WebSocket clients in one epoll loop that only read."""

import os
import select
import socket
import struct
import time
from base64 import b64encode

TIMEOUT = 30.0
PING, PONG, CLOSE = 0x9, 0xA, 0x8


class Listener:
    """One connection to /ws/updates. `seqs` are the numbers of the received events, `closed` is its close code."""

    def __init__(self, port: int, query: str = "", receive_buffer: int = 0) -> None:
        self.seqs: list[int] = []
        self.closed = 0
        self._buffer = b""
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(("127.0.0.1", port))
        key = b64encode(os.urandom(16)).decode()
        lines = [
            f"GET /ws/updates{query} HTTP/1.1",
            "host: 127.0.0.1",
            "upgrade: websocket",
            "connection: Upgrade",
            f"sec-websocket-key: {key}",
            "sec-websocket-version: 13",
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._socket.recv(65_536)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if b" 101 " not in head[:20]:
            raise ConnectionError(head.decode("latin-1"))

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> int:
        """Read available data and return the number of received events."""
        chunk = self._socket.recv(262_144)
        if not chunk:
            self.closed = self.closed or 1006
        self._buffer += chunk
        before = len(self.seqs)
        while (frame := self._frame()) is not None:
            kind, body = frame
            if kind == PING:
                self._socket.sendall(_masked(PONG, body))
            elif kind == CLOSE:
                self.closed = struct.unpack("!H", body[:2])[0]
            elif body.startswith(b'{"seq":'):
                self.seqs.append(int(body[7 : body.index(b",")]))
        return len(self.seqs) - before

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._buffer
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length == 126:
            if len(data) < 4:
                return None
            length, start = struct.unpack_from("!H", data, 2)[0], 4
        elif length == 127:
            if len(data) < 10:
                return None
            length, start = struct.unpack_from("!Q", data, 2)[0], 10
        if len(data) < start + length:
            return None
        self._buffer = data[start + length :]
        return data[0] & 0x0F, data[start : start + length]

    def close(self) -> None:
        self._socket.close()


def _masked(kind: int, body: bytes) -> bytes:
    """Return a short frame as a client sends it. A mask of zero is valid."""
    return bytes([0x80 | kind, 0x80 | len(body)]) + b"\0\0\0\0" + body


class Subscribers:
    """Listeners that are read together."""

    def __init__(self, listeners: list[Listener]) -> None:
        self.listeners = {listener.fileno(): listener for listener in listeners}
        self._poll = select.epoll()
        for number in self.listeners:
            self._poll.register(number, select.EPOLLIN)

    def collect(self, events: int, since: float) -> list[float]:
        """Read until every listener has this number of new events. Return the seconds from `since` for each."""
        wanted = dict.fromkeys(self.listeners, events)
        missing = events * len(wanted)
        delays: list[float] = []
        while missing > 0:
            ready = self._poll.poll(TIMEOUT)
            if not ready:
                raise TimeoutError(f"{missing} events did not arrive in {TIMEOUT} s")
            for number, _ in ready:
                came = self.listeners[number].read()
                if self.listeners[number].closed:
                    raise ConnectionError(f"a listener was closed with {self.listeners[number].closed}")
                missing -= came
                delays += [time.perf_counter() - since] * came
        return delays

    def settle(self, seconds: float) -> None:
        """Read and discard everything that arrives within this number of seconds."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            for number, _ in self._poll.poll(left):
                self.listeners[number].read()

    def close(self) -> None:
        self._poll.close()
        for listener in self.listeners.values():
            listener.close()
