"""A proxy of a PostgreSQL server that cuts connections at a COMMIT, and clients that notice lost or repeated writes."""

import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

SOCKET = ".s.PGSQL.5432"
CLOSING_STATEMENT = b"batch_marks"
"""Part of the statement that precedes the COMMIT of each batch with a change."""
COMMIT = b"COMMIT"
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""The message of the server after a COMMIT."""
PIECE = 1 << 16


class Cut(Enum):
    """The moment at which the proxy closes both sides of a connection."""

    BEFORE = auto()
    """The server does not get the COMMIT, and rolls back."""
    AFTER = auto()
    """The server has committed, and its reply is lost."""


class Proxy:
    """A Unix socket in front of that of a server.

    Each COMMIT of a batch with a change takes the next item of `plan`: a cut, or None. With `is_closed`, the proxy
    accepts no connection from its next cut on.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self.plan: Iterator[Cut | None] = repeat(None)
        self.cuts: Counter[Cut] = Counter()
        self.closes_at_cut = False
        self._server = str(server / SOCKET)
        self._is_closed = False
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen(128)
        self._threads = [threading.Thread(target=self._accept, name="proxy")]
        self._threads[0].start()

    def cut_next(self, *cuts: Cut) -> None:
        """Cut the connections at the next commits."""
        self.plan = _then_none(cuts)

    def open(self) -> None:
        """Accept connections again."""
        self._is_closed = self.closes_at_cut = False

    def silence(self) -> None:
        """Pass nothing on over the present connections, and do not close them."""
        for link in self._links:
            link.is_silent = True

    def close(self) -> None:
        """Stop the threads. Call it after the clients have closed their connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def next_cut(self) -> Cut | None:
        with self._lock:
            cut = next(self.plan)
            if cut is not None:
                self.cuts[cut] += 1
                self._is_closed = self.closes_at_cut
            return cut

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self._is_closed:
                    raise ConnectionRefusedError
                server.connect(self._server)
            except OSError:
                client.close()
                server.close()
                continue
            link = _Link(self, client, server)
            self._links.append(link)
            started = [threading.Thread(target=target, name="proxy") for target in (link.forward, link.reply)]
            for thread in started:
                thread.start()
            self._threads = [thread for thread in self._threads if thread.is_alive()] + started


class _Link:
    """One connection through the proxy. Each direction has a thread, and the second one to end closes the sockets."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._cut: Cut | None = None
        self._statements: dict[bytes, bytes] = {}
        self._changes_something = False
        self.is_silent = False
        self._ends = threading.Semaphore(1)

    def forward(self) -> None:
        """Pass the messages of the client on, whole ones only. The first one, the startup, has no type."""
        pending, has_started = b"", False
        try:
            while piece := self._client.recv(PIECE):
                pending += piece
                end = 0
                while (length := _length(pending[end:], has_started)) is not None:
                    if self._must_cut(pending[end : end + length]):
                        return
                    has_started, end = True, end + length
                if not self.is_silent:
                    self._server.sendall(pending[:end])
                pending = pending[end:]
        except OSError:
            return
        finally:
            self._end()

    def reply(self) -> None:
        """Pass the answers of the server on."""
        try:
            while piece := self._server.recv(PIECE):
                if self._cut is Cut.AFTER and COMMITTED in piece:
                    return
                if not self.is_silent:
                    self._client.sendall(piece)
        except OSError:
            return
        finally:
            self._end()

    def _must_cut(self, message: bytes) -> bool:
        """Return whether to cut before this message."""
        sql = self._executed(message)
        if CLOSING_STATEMENT in sql:
            self._changes_something = True
        if sql != COMMIT or not self._changes_something:
            return False
        self._changes_something = False
        self._cut = self._proxy.next_cut()
        return self._cut is Cut.BEFORE

    def _executed(self, message: bytes) -> bytes:
        """Return the SQL that a message executes: a query, or a Bind of a statement that a Parse has named."""
        kind, body = message[:1], message[5:]
        if kind == b"Q":
            return body.rstrip(b"\0")
        if kind == b"P":
            name, sql, _ = body.split(b"\0", 2)
            self._statements[name] = sql
        if kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            return self._statements[name]
        return b""

    def _end(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if not self._ends.acquire(blocking=False):
            self._client.close()
            self._server.close()


def _length(pending: bytes, has_type: bool) -> int | None:
    """Return the length of the first message, or None if it is incomplete."""
    start = int(has_type)
    if len(pending) < start + 4:
        return None
    length = start + int.from_bytes(pending[start : start + 4])
    return length if len(pending) >= length else None


def _then_none(cuts: Iterable[Cut]) -> Iterator[Cut | None]:
    yield from cuts
    yield from repeat(None)


@contextmanager
def proxy_of(server: Path) -> Iterator[Proxy]:
    """Yield a proxy in front of the server with its socket in this folder."""
    with TemporaryDirectory(prefix="pm-proxy-", dir="/tmp") as folder:  # the path of a socket has at most 107 bytes
        proxy = Proxy(Path(folder), server)
        try:
            yield proxy
        finally:
            proxy.close()


def through(proxy: Proxy, url: str) -> str:
    """Return the URL of the same database behind the proxy."""
    return url.split("?")[0] + f"?host={quote(str(proxy.folder))}"
