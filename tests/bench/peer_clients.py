"""A client of another queue: python peer_clients.py QUEUE LOCATION CLIENTS.

It runs in the virtual environment of the other queues, so it imports nothing of this project. Each line of standard
input is a number of seconds. For that time it enqueues, claims and completes jobs, one after another in each of
CLIENTS tasks. Then it prints the cycles, the seconds and its CPU seconds as JSON.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import import_module
from importlib.metadata import version

Cycle = Callable[[], Awaitable[None]]
HEARTBEAT = timedelta(seconds=30)


async def huey(location: str, _clients: int) -> Cycle:
    """Use SQLite with an fsync for each commit. Executing a task removes it, and stores its result."""
    queue = import_module("huey").SqliteHuey(filename=location, fsync=True)

    def work(number: int) -> int:
        return number

    enqueue = queue.task()(work)

    async def cycle() -> None:
        enqueue(1)
        queue.execute(queue.dequeue())

    return cycle


async def persist_queue(location: str, _clients: int) -> Cycle:
    """Use SQLite with its default durability, which is FULL, and with acknowledgements."""
    queue = import_module("persistqueue").SQLiteAckQueue(location, auto_commit=True)

    async def cycle() -> None:
        queue.put({"number": 1})
        queue.ack(queue.get())

    return cycle


async def procrastinate(location: str, clients: int) -> Cycle:
    library = import_module("procrastinate")
    connector = library.PsycopgConnector(conninfo=location, min_size=clients, max_size=clients)
    app = library.App(connector=connector)

    async def work(number: int) -> None:
        pass

    task = app.task(name="work")(work)
    await app.open_async()
    await app.schema_manager.apply_schema_async()
    worker = await app.job_manager.register_worker()
    succeeded = import_module("procrastinate.jobs").Status.SUCCEEDED

    async def cycle() -> None:
        await task.defer_async(number=1)
        job = await app.job_manager.fetch_job(None, worker)
        if job is not None:
            await app.job_manager.finish_job(job, succeeded, delete_job=False)

    return cycle


async def pgqueuer(location: str, clients: int) -> Cycle:
    pool = await import_module("asyncpg").create_pool(location, min_size=clients, max_size=clients)
    driver = import_module("pgqueuer.db").AsyncpgPoolDriver(pool)
    library = import_module("pgqueuer.queries")
    queue = library.Queries(driver)
    await queue.install()
    limits = {"work": library.EntrypointExecutionParameter(0)}
    manager = uuid.uuid4()

    async def cycle() -> None:
        await queue.enqueue("work", b"1")
        jobs = await queue.dequeue(1, limits, manager, None, HEARTBEAT)
        await queue.log_jobs([(job, "successful", None) for job in jobs])

    return cycle


QUEUES: dict[str, Callable[[str, int], Awaitable[Cycle]]] = {
    "huey": huey,
    "persist-queue": persist_queue,
    "procrastinate": procrastinate,
    "pgqueuer": pgqueuer,
}


async def run(cycle: Cycle, clients: int, seconds: float) -> dict[str, float]:
    """Run cycles in each of the clients for this time."""
    began, cpu = time.perf_counter(), time.process_time()

    async def client() -> int:
        cycles = 0
        while time.perf_counter() - began < seconds:
            await cycle()
            cycles += 1
        return cycles

    cycles = sum(await asyncio.gather(*(client() for _ in range(clients))))
    return {"cycles": cycles, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


async def main() -> None:
    name, location, number = sys.argv[1:]
    clients = int(number)
    cycle = await QUEUES[name](location, clients)
    print(json.dumps({"version": version(name)}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await run(cycle, clients, float(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
