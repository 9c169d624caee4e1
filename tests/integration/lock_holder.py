"""A process with an instance that holds the lock of the writers in the middle of a batch.

It prints `held` then, and goes on after a line of input. It ends when the write has succeeded. Each attempt to write
creates a task with its number.
"""

import sys
from itertools import count

import anyio

from project_manager.domain.actors import LOCAL
from project_manager.runtime.open import open_runtime
from project_manager.schemas import validation
from project_manager.schemas.tasks import CreateTask
from project_manager.services import tasks
from project_manager.store.transaction import Tx
from tests.stored_rows import settings_of


async def hold_lock(url: str) -> None:
    attempts = count(1)

    def create(tx: Tx) -> None:
        attempt = next(attempts)
        tasks.create(tx, validation.read(CreateTask, {"name": f"attempt {attempt}"}))
        if attempt == 1:
            print("held", flush=True)
            sys.stdin.readline()

    async with open_runtime(settings_of(url)) as runtime:
        await runtime.database.writer.run("create", create, LOCAL, "")


if __name__ == "__main__":
    anyio.run(hold_lock, sys.argv[1])
