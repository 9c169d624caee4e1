"""The project of the demonstration: its tasks, and the seconds of work for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROJECT = "Bike rental (demo)"
DESCRIPTION = "A project for six scripted agents. `project-manager demo` created it."


@dataclass(frozen=True, slots=True)
class Work:
    """A task of the plan. `after` has the keys of the tasks that it depends on, all of them further up in the plan."""

    key: str
    name: str
    seconds: int
    label: str
    after: tuple[str, ...] = ()
    priority: int = 2


def rows_of(works: Sequence[Work], ids: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the tasks of an epic for the bulk creation of tasks. `ids` are those of the tasks created so far."""
    return [
        {
            "ref": work.key,
            "name": work.name,
            "labels": [work.label],
            "priority": work.priority,
            "depends_on": [ids.get(key, key) for key in work.after],
        }
        for work in works
    ]


PLAN: dict[str, tuple[Work, ...]] = {
    "Accounts": (
        Work("A1", "Table of accounts", 12, "database", priority=0),
        Work("A2", "Hash passwords with Argon2", 18, "backend", ("A1",), 1),
        Work("A3", "Sign-in page", 24, "frontend", ("A1",)),
        Work("A4", "Reset a password by e-mail", 32, "backend", ("A2",)),
        Work("A5", "Limit sign-in attempts", 16, "security", ("A3",), 1),
        Work("A6", "Profile page", 20, "frontend", ("A3",)),
        Work("A7", "Delete an account with its data", 28, "backend", ("A4",)),
        Work("A8", "Tests of the sign-in flow", 34, "tests", ("A4", "A5")),
        Work("A9", "Privacy notice", 9, "docs", (), 3),
    ),
    "Map": (
        Work("M1", "Import the stations from the city's feed", 26, "backend", priority=1),
        Work("M2", "Tile server behind a cache", 36, "operations"),
        Work("M3", "Stations on the map", 24, "frontend", ("M1", "M2")),
        Work("M4", "Free bikes at each station, live", 36, "backend", ("M3",), 1),
        Work("M5", "Search for an address", 22, "frontend", ("M3",)),
        Work("M6", "Position of the phone", 14, "frontend", ("M3",)),
        Work("M7", "Map without a connection", 40, "frontend", ("M4",), 3),
        Work("M8", "Icons of the stations", 8, "design", (), 3),
        Work("M9", "Load test with 2,000 stations", 33, "tests", ("M4",)),
    ),
    "Booking": (
        Work("B1", "Table of bookings", 14, "database", ("A1",), 0),
        Work("B2", "Reserve a bike for ten minutes", 38, "backend", ("B1",), 1),
        Work("B3", "Unlock a bike by its code", 30, "backend", ("B2",), 1),
        Work("B4", "Booking page", 26, "frontend", ("B2", "M3")),
        Work("B5", "End a ride at any station", 28, "backend", ("B3",)),
        Work("B6", "Report a broken bike", 18, "frontend", ("B4",)),
        Work("B7", "History of rides", 22, "frontend", ("B5",)),
        Work("B8", "Two phones, one bike: test the race", 35, "tests", ("B3",), 1),
        Work("B9", "Texts of the booking page", 10, "docs", ("B4",), 3),
    ),
    "Payments": (
        Work("P1", "Prices by minute and by day", 16, "backend"),
        Work("P2", "Payment provider in its sandbox", 34, "backend", ("P1",), 1),
        Work("P3", "Cards on file", 30, "backend", ("P2", "A2")),
        Work("P4", "Charge at the end of a ride", 26, "backend", ("P3", "B5"), 1),
        Work("P5", "Receipts as PDF", 20, "backend", ("P4",)),
        Work("P6", "Refund a ride", 24, "backend", ("P4",)),
        Work("P7", "Charge once when the network fails", 38, "tests", ("P4",), 1),
        Work("P8", "Prices page", 12, "frontend", ("P1",)),
        Work("P9", "Terms of payment", 8, "docs", (), 3),
    ),
    "Fleet": (
        Work("F1", "Table of bikes and stations", 12, "database", priority=0),
        Work("F2", "Heartbeats of the locks", 32, "backend", ("F1",), 1),
        Work("F3", "Bikes that moved without a booking", 28, "backend", ("F2", "B2")),
        Work("F4", "Battery of each lock", 18, "backend", ("F2",)),
        Work("F5", "Page for the repair team", 30, "frontend", ("F2",)),
        Work("F6", "Plan of the nightly van", 40, "backend", ("F2", "M1")),
        Work("F7", "Export for the city", 16, "backend", ("F4",), 3),
        Work("F8", "Firmware over the air", 36, "operations", ("F4",)),
        Work("F9", "Handbook of the repair team", 14, "docs", ("F5",), 3),
    ),
    "Launch": (
        Work("L1", "Checks on every commit", 10, "ci", priority=0),
        Work("L2", "Container image", 20, "operations", ("L1",), 1),
        Work("L3", "Staging environment", 32, "operations", ("L2",)),
        Work("L4", "Backups, and one restore", 24, "operations", ("L3",)),
        Work("L5", "Dashboards and alerts", 26, "operations", ("L3",)),
        Work("L6", "Accessibility review", 22, "tests", ("B4",)),
        Work("L7", "Security review", 34, "security", ("A5", "P3")),
        Work("L8", "Landing page", 18, "frontend", ()),
        Work("L9", "First hundred riders", 15, "operations", ("L4", "L5", "L7"), 1),
    ),
}
