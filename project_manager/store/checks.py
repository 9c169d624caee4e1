"""Checks of the contents of a database with the schema of this release: its counters, its indexes and its events."""

from collections.abc import Iterable
from dataclasses import dataclass

from project_manager.store import bulk, flow_check, history_check, labels, ready_tasks
from project_manager.store.chain import Head
from project_manager.store.transaction import Tx

SHOWN = 20


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of the checks of a database with the schema `revision` and the newest event `head`.

    `problems` are damage. `differences` from the events, the hash chain or the schema show changes by another program.
    `outdated_flow` has roll-ups of the flow that differ from the events. A rebuild mends them.
    `unchecked` is the number of tasks without a retained event. `of_other_release` is true when only another release
    can use the schema. Then only some checks have run.
    """

    revision: str | None
    problems: tuple[str, ...]
    of_other_release: bool = False
    differences: tuple[str, ...] = ()
    outdated_flow: tuple[str, ...] = ()
    head: Head | None = None
    unchecked: int = 0


def check_contents(tx: Tx, revision: str, published: Iterable[Head] = (), *, with_flow: bool = False) -> CheckResult:
    """Check the rows of a database with the schema of this release. Its hash chain must contain `published`.

    With `with_flow`, compare the roll-ups of the flow with the events too, if these are as they were written.
    """
    problems = [f"task {task_id} has wrong dependency counters" for task_id in bulk.find_wrong_counters(tx, SHOWN)]
    problems += [
        f"task {task_id} is missing from the label index" for task_id in ready_tasks.missing_label_entries(tx, SHOWN)
    ]
    problems += [f"task {task_id} has wrong entries in task_labels" for task_id in labels.find_wrong(tx, SHOWN)]
    found = history_check.check(tx, published)
    outdated_flow = flow_check.check(tx)[:SHOWN] if with_flow and not found.differences else ()
    return CheckResult(
        revision,
        tuple(problems),
        differences=found.differences,
        outdated_flow=tuple(outdated_flow),
        head=found.head,
        unchecked=found.unchecked,
    )
