"""Helpers that write and search knowledge items."""

from typing import Any

from tests.desk import Desk, Json


async def project(desk: Desk, name: str = "Garden") -> int:
    made: int = (await desk.do("create_project", name=name))["id"]
    return made


async def epic(desk: Desk, project_id: int, name: str = "Fence") -> int:
    made: int = (await desk.do("create_epic", name=name, project_id=project_id))["id"]
    return made


async def known(desk: Desk, **given: Any) -> Json:
    """Create an item and return it as stored."""
    if not {"project_id", "project_name", "epic_id", "task_id", "parent_id"} & set(given):
        given["project_name"] = "Garden"
    saved: Json = await desk.do("upsert_knowledge", **{"title": "Paint", "content": "Green paint lasts.", **given})
    return saved


async def titles(desk: Desk, **filters: Any) -> list[str]:
    return [item["title"] for item in (await desk.do("get_knowledge", **filters))["items"]]


async def versions(desk: Desk, knowledge_id: int) -> list[Json]:
    """Return the versions of an item, oldest first."""
    page = await desk.do("list_knowledge_versions", knowledge_id=knowledge_id)
    return list(reversed(page["items"]))
