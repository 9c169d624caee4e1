"""The claim queue compared with its definition in many random situations."""

import random
import tempfile
from pathlib import Path

from project_manager.store.migrations import upgrade
from tests.bench.report import table
from tests.integration.claim_queue_model import compare_claim, compare_pass, transaction

SITUATIONS = 10_000


def run(seed: int) -> str:
    """Compare passes over the queue and claims without a wait. Return a table of their numbers."""
    seeds = random.Random(seed).sample(range(2**32), SITUATIONS)
    rows = []
    with tempfile.TemporaryDirectory(prefix="claim-queue-") as folder:
        path = Path(folder) / "pm.db"
        upgrade(str(path))
        for name, compare in (("pass over the queue", compare_pass), ("claim without a wait", compare_claim)):
            with transaction(path) as tx:
                rows.append([name, f"{SITUATIONS:,}", f"{sum(compare(tx, each) for each in seeds):,}", "0"])
    return table(["compared", "situations", "tasks claimed", "differences"], rows)
