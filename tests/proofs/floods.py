"""Floods at their full size against one service, one after the other."""

import tempfile
from pathlib import Path

from tests.bench.report import table
from tests.e2e.service import Service
from tests.faults.flooding import OtherClients, run_flood
from tests.faults.floods import FLOODS, Flooded, flooded_service

PEAK_MB = 300


def run(_seed: int) -> str:
    """Send each flood. Return a table of memory and of responses to other clients. The seed has no effect."""
    with tempfile.TemporaryDirectory(prefix="floods-") as folder:
        service = Service(Path(folder))
        with flooded_service(service) as flooded:
            rows = [_row(flooded, name) for name in FLOODS]
    headers = [
        "flood",
        "connections at once",
        "taken, MB",
        "peak RSS, MB",
        "RSS after, MB",
        "others served",
        "slowest, s",
    ]
    return table(headers, rows)


def _row(flooded: Flooded, name: str) -> list[str]:
    flood = flooded.flood(FLOODS[name])
    found: OtherClients = run_flood(flooded.service, flood, flooded.works)
    assert found.failures == [], f"{name}: {found.failures[:3]}"
    assert found.peak_mb < PEAK_MB, f"{name}: {found.peak_mb:.0f} MB"
    served = f"{found.alive} probes, {found.claims} claims"
    sizes = (found.sent_mb, found.peak_mb, found.after_mb)
    return [name, str(flood.connections), *(f"{size:.0f}" for size in sizes), served, f"{found.slowest:.1f}"]
