"""The use cases of the product in this process: python -m tests.bench.product_client DATABASE CLIENTS.

It has the protocol of `peer_clients.py`. Each create, claim and completion is durable before the next one begins.
"""

import asyncio
import json
import sys

from project_manager import __version__
from project_manager.catalogue import BY_NAME
from project_manager.config.settings import load
from project_manager.domain.actors import LOCAL
from project_manager.runtime.calls import Caller
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from tests.bench.peer_clients import Cycle, run


def cycles(runtime: Runtime) -> Cycle:
    """Return a cycle that creates a task, claims the next one, and completes it."""
    create, claim, complete = (BY_NAME[name] for name in ("create_task", "claim_next_task", "update_task_status"))
    caller = Caller(LOCAL, "cli", "bench")

    async def cycle() -> None:
        await runtime.run(create, {"name": "work", "project_name": "Bench"}, caller)
        claimed = await runtime.run(claim, {"agent_id": "bench"}, caller)
        task = claimed.view.task
        identity = task["id"] if isinstance(task, dict) else task.id
        await runtime.run(complete, {"task_id": identity, "agent_id": "bench", "status": "DONE"}, caller)

    return cycle


async def main() -> None:
    database, clients = sys.argv[1], int(sys.argv[2])
    settings = load({"DATABASE_PATH": database, "RATE_LIMIT_PER_SECOND": "0"}, {}).settings
    async with open_runtime(settings, kind="command") as runtime:
        cycle = cycles(runtime)
        print(json.dumps({"version": __version__}), flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await run(cycle, clients, float(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
