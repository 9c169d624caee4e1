"""Helpers that write and search knowledge items."""

from typing import Any

from tests.operations_client import Json, OperationsClient


async def project(api: OperationsClient, name: str = "Garden") -> int:
    made: int = (await api.call("create_project", name=name))["id"]
    return made


async def epic(api: OperationsClient, project_id: int, name: str = "Fence") -> int:
    made: int = (await api.call("create_epic", name=name, project_id=project_id))["id"]
    return made


async def saved_knowledge(api: OperationsClient, **given: Any) -> Json:
    """Create an item and return it as stored."""
    if not {"project_id", "project_name", "epic_id", "task_id", "parent_id"} & set(given):
        given["project_name"] = "Garden"
    saved: Json = await api.call("upsert_knowledge", **{"title": "Paint", "content": "Green paint lasts.", **given})
    return saved


async def titles(api: OperationsClient, **filters: Any) -> list[str]:
    return [item["title"] for item in (await api.call("get_knowledge", **filters))["items"]]


async def versions(api: OperationsClient, knowledge_id: int) -> list[Json]:
    """Return the versions of an item, oldest first."""
    page = await api.call("list_knowledge_versions", knowledge_id=knowledge_id)
    return list(reversed(page["items"]))
