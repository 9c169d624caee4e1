"""A client that follows the events through the load balancer, and resumes after each lost connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.deploy.stack import API

UPDATES = f"{API.replace('http', 'ws')}/ws/updates"


@dataclass
class Follower:
    """The position of a client, the type of each event by epoch and number, and the epoch of each `resync`."""

    epoch: str = ""
    seq: int = 0
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    resyncs: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def types(self) -> set[str]:
        """Return the types of the events of the present epoch."""
        return {kind for (epoch, _), kind in self.seen.items() if epoch == self.epoch}

    def follow(self) -> None:
        while not self.stop.is_set():
            try:
                self._follow_one_connection()
            except (OSError, WebSocketException):
                self.stop.wait(0.25)

    def _follow_one_connection(self) -> None:
        query = f"since={self.seq}" + (f"&epoch={self.epoch}" if self.epoch else "")
        with connect(f"{UPDATES}?{query}", open_timeout=5, close_timeout=1) as socket:
            while not self.stop.is_set():
                try:
                    self._take(json.loads(socket.recv(timeout=0.5)))
                except TimeoutError:
                    continue

    def _take(self, frame: dict[str, str | int]) -> None:
        if frame["type"] == "hello":
            self.epoch = str(frame["epoch"])
            return
        self.seq = int(frame["seq"])
        if frame["type"] == "resync":
            self.resyncs.append(str(frame["epoch"]))
        else:
            assert (self.epoch, self.seq) not in self.seen
            self.seen[self.epoch, self.seq] = str(frame["type"])


@contextmanager
def following() -> Iterator[Follower]:
    """Follow all events until the block ends."""
    follower = Follower()
    thread = threading.Thread(target=follower.follow)
    thread.start()
    try:
        yield follower
    finally:
        follower.stop.set()
        thread.join(10)
    assert not thread.is_alive()
