"""The reader threads and the writer thread with abandoned and late requests."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from project_manager.domain.actors import LOCAL
from project_manager.domain.service_errors import ShuttingDown
from project_manager.runtime.dispatch import Runtime
from project_manager.store.database_clock import DatabaseClock
from project_manager.store.opening import open_backend
from project_manager.store.readers import ReadContext, Readers
from project_manager.store.transaction import Tx
from tests.operations_client import TIMEOUT, MovableClock
from tests.stored_rows import Address


@pytest.fixture
def readers(database: Address) -> Iterator[Readers]:
    """Return one reader thread that is not started yet."""
    clock = DatabaseClock(MovableClock())
    connect = open_backend(database).connect_reader
    made = Readers(ReadContext(connect, connect, TIMEOUT, clock, 5, lambda *_: None), threads=1)
    yield made
    made.close()


async def ask(readers: Readers, work: Callable[[Tx], Any]) -> Any:
    with anyio.fail_after(TIMEOUT):
        return await readers.run("test", work, LOCAL, "")


async def test_an_abandoned_read_is_not_executed(readers: Readers) -> None:
    held_up, done = threading.Event(), []
    readers.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, readers, lambda tx: held_up.wait(TIMEOUT))
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(ask, readers, lambda tx: done.append("abandoned"))
            await anyio.wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        held_up.set()
        await ask(readers, lambda tx: done.append("wanted"))
    assert done == ["wanted"]


async def test_a_slow_read_lets_others_run_concurrently(runtime: Runtime) -> None:
    readers, begun, overtaken = runtime.database.readers, threading.Event(), threading.Event()

    def wait_to_be_overtaken(_tx: Tx) -> bool:
        begun.set()
        return overtaken.wait(TIMEOUT)

    async with anyio.create_task_group() as tasks:
        long = anyio.Event()

        async def read() -> None:
            assert await ask(readers, wait_to_be_overtaken)
            long.set()

        tasks.start_soon(read)
        await anyio.to_thread.run_sync(begun.wait, TIMEOUT)
        await ask(readers, lambda tx: overtaken.set())
        await long.wait()


async def test_a_read_that_no_reader_took_is_refused_when_they_close(readers: Readers) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(refused, readers)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(readers.close)


async def test_a_read_that_comes_when_the_readers_have_just_closed_is_refused(readers: Readers) -> None:
    """The read checked for the shutdown just before it began."""
    readers.start()
    await anyio.to_thread.run_sync(readers.close)
    readers._closing = False
    await refused(readers)


async def refused(readers: Readers) -> None:
    with pytest.raises(ShuttingDown):
        await ask(readers, lambda tx: None)


async def test_the_end_of_the_writer_and_a_late_write_may_reject_the_rest_at_once(runtime: Runtime) -> None:
    writer = runtime.database.writer
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        await anyio.to_thread.run_sync(writer.close)
        for _ in range(100):
            for _ in range(200):
                writer._queue.put([])
            async with anyio.create_task_group() as all_at_once:
                for _ in range(20):
                    all_at_once.start_soon(anyio.to_thread.run_sync, writer._reject_remaining)
    finally:
        sys.setswitchinterval(switch_interval)
