"""A claimed task, and every write that requires a lease."""

from typing import Any

import pytest

from tests.operations_client import Json, OperationsClient

WRITES: list[tuple[str, Json]] = [
    ("acquire_task_lock", {}),
    ("renew_task_lock", {}),
    ("release_task_lock", {}),
    ("update_task_status", {"status": "DONE"}),
    ("update_task", {"priority": 0}),
    ("update_task", {"log_entry": "on it"}),
    ("update_task", {"status": "REVIEW"}),
    ("add_task_log", {"body": "half way"}),
]
each_write = pytest.mark.parametrize(
    ("operation", "more"), WRITES, ids=[f"{name}-{'-'.join(more) or 'plain'}" for name, more in WRITES]
)


async def claimed_task(api: OperationsClient, **more: Any) -> tuple[int, Json]:
    """Create a task, claim it as ann, and return its id and its lock."""
    task = await api.create_task()
    return task["id"], await api.claim(task["id"], "ann", **more)
