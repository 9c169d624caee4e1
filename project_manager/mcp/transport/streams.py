"""A response that stays open: notifications, legacy SSE, subscriptions."""

from collections.abc import Callable

import anyio


class Stream:
    """`end` completes it properly, `cut` ends it even while it cannot be written to."""

    def __init__(self, whole: anyio.CancelScope) -> None:
        self.cut: Callable[[], None] = whole.cancel
        self.ending = anyio.Event()
        self._ends_with: list[Callable[[], None]] = []

    def ends_with(self, also: Callable[[], None]) -> None:
        self._ends_with.append(also)

    def end(self) -> None:
        self.ending.set()
        for also in self._ends_with:
            also()
