"""Made-up numbers of the flow for pages that show its charts."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import sin
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route

STATUSES = ("BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED")
SUMS = (
    *("created", "completed", "cancelled", "reopened", "failed", "expired", "submitted", "reviewed", "approved"),
    *("changes_requested", "leased_seconds", "idle_seconds"),
    *(f"{name}_{share}_seconds" for name in ("cycle", "review", "ready") for share in ("p50", "p95")),
)


def sums(index: int) -> dict[str, object]:
    """Return the numbers of a step. Every seventh one has no completed task, and so no times."""
    completed = 0 if index % 7 == 3 else int(5 + 4 * sin(index))
    numbers: dict[str, object] = dict.fromkeys(SUMS, 1)
    times = {
        "cycle_p50_seconds": 300 + 20 * index,
        "cycle_p95_seconds": 1500 + 400 * sin(index),
        "review_p50_seconds": 700,
        "review_p95_seconds": 5400,
        "ready_p50_seconds": 60 + 40 * (index % 5),
        "ready_p95_seconds": 900,
    }
    numbers |= times if completed else dict.fromkeys(times)
    return numbers | {"created": 4 + index % 4, "completed": completed, "leased_seconds": 9000, "idle_seconds": 1000}


class FlowServer:
    """Answers of `GET /api/flow` with made-up numbers. The first `unknown` steps are before the first event."""

    def __init__(self, unknown: int = 2) -> None:
        self.unknown = unknown
        self.asked: list[Mapping[str, str]] = []
        self.failing = False

    def attach(self, page: Page) -> None:
        page.route("**/api/flow?*", self._answer)

    def _answer(self, route: Route) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
        self.asked.append(query)
        if self.failing:
            route.fulfill(
                status=500, json={"code": "internal", "message": "The server has failed.", "hint": "Try again."}
            )
        else:
            route.fulfill(body=json.dumps(self.view(query)), content_type="application/json")

    def view(self, query: Mapping[str, str]) -> dict[str, Any]:
        step = timedelta(hours=int(query["step_hours"]))
        now = datetime.now(UTC)
        end = datetime.fromisoformat(query["until"]).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        begin = end - timedelta(hours=int(query["hours"]))
        ats = [begin + step * index for index in range(int((end - begin) / step))]
        is_before = end < now - timedelta(hours=1)
        total = sums(1) | {"completed": 96, "per_hour": 2.0 if is_before else 4.0}
        total |= {"cycle_p50_seconds": 600 if is_before else 540, "review_p50_seconds": 600 if is_before else 900}
        return {
            "since": stamp(begin), "until": stamp(end), "hours": int(query["hours"]),
            "step_seconds": step.total_seconds(), "as_of": stamp(now),
            "known_since": stamp(ats[min(self.unknown, len(ats) - 1)]),
            "series": [self._point(index, at, at + step < now, "agent_id" in query) for index, at in enumerate(ats)],
            "totals": total,
        }  # fmt: skip

    def _point(self, index: int, at: datetime, complete: bool, of_agent: bool) -> dict[str, object]:
        known = index >= self.unknown and at < datetime.now(UTC)
        counts = {status: 10 + (index * place) % 7 for place, status in enumerate(STATUSES)} | {"DONE": 400 + 4 * index}
        numbers = sums(index) if known else dict.fromkeys(SUMS)
        return {**numbers, "at": stamp(at), "complete": complete, "counts": counts if known and not of_agent else None}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
