"""Use cases of task logs: add an entry, list the entries."""

from functools import partial

from project_manager.domain.limits import ID_MAXIMUM
from project_manager.schemas.logs import AddTaskLog, ListTaskLogs, LogView
from project_manager.schemas.views import Page
from project_manager.services import lookup, paging, serializers, transitions
from project_manager.services.authorization import check_write, renew_on_write
from project_manager.store import logs
from project_manager.store.transaction import Tx


def add_log(tx: Tx, command: AddTaskLog) -> LogView:
    """Report on a task: progress, evidence, a comment, or a handoff note for its next holder.

    Only the holder of a leased task (and people) may write, except comments. The holder's entry renews its lease.
    """
    row = lookup.task(tx, command.task_id)
    if command.kind != "comment" or command.fence is not None:
        check_write(tx, row, command.fence)
    entry = transitions.note(tx, row, tx.actor.id, command.kind, command.body)
    renew_on_write(tx, row, command.fence)
    return serializers.log(entry)


def list_logs(tx: Tx, command: ListTaskLogs) -> Page[LogView]:
    """Read a task's log, newest first."""
    filters = {"task_id": command.task_id, "kind": command.kind}
    before = paging.start_id(command, filters, ID_MAXIMUM)
    row = lookup.task(tx, command.task_id)
    rows, has_more = logs.newest(tx, row.id, command.limit, before=before, kind=command.kind)
    count = partial(logs.count, tx, row.id, command.kind)
    return paging.page(command, filters, rows, has_more, count, item=serializers.log)
