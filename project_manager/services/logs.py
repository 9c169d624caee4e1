"""Use cases of task logs: add an entry, list the entries of a task or of an agent."""

from functools import partial

from project_manager.domain.errors import AgentNotFound, Invalid
from project_manager.domain.limits import ID_MAXIMUM, LOG_LINE_CHARACTERS
from project_manager.schemas import cursor
from project_manager.schemas.evidence import NewEvidence
from project_manager.schemas.logs import (
    AddTaskLog,
    ListAgentLogs,
    ListTaskLogs,
    LogLinesView,
    LogLineView,
    LogView,
    ReadLogLines,
)
from project_manager.schemas.views import Page
from project_manager.services import evidence, lookup, paging, reviews, serializers, transitions
from project_manager.services.authorization import check_write, renew_on_write
from project_manager.services.lease_errors import was_stopped
from project_manager.services.serializers import lease_of
from project_manager.store import agents, logs
from project_manager.store.transaction import Tx

SEARCHED_PER_PAGE = 10_000
"""Number of log entries that a page of an agent's entries searches, so that a page costs the same on large logs."""


def add_log(tx: Tx, command: AddTaskLog) -> LogView:
    """Report on a task: progress, evidence, a comment, or a handoff note for its next holder.

    Only the holder of a leased task (and people) may write, except comments. The holder's entry renews its lease.
    """
    row = lookup.task(tx, command.task_id)
    if (command.kind != "comment" or command.fence is not None) and not was_stopped(tx, row):
        check_write(tx, row, command.fence)
    if command.kind == "evidence":
        lease = lease_of(row, tx.now)
        fence = row.fence if lease is not None and lease.holder == tx.actor.id and lease.kind == "work" else 0
        entry = evidence.record(tx, row, command, command.body, fence=fence)
        row = reviews.complete_if_approved(tx, row)
    else:
        _check_no_evidence(command)
        entry = transitions.note(tx, row, tx.actor.id, command.kind, command.body)
    renew_on_write(tx, row, command.fence)
    return serializers.log(entry)


def _check_no_evidence(command: AddTaskLog) -> None:
    """Check that an entry of another kind has no field of evidence. Raises Invalid."""
    sent = sorted(command.model_fields_set & NewEvidence.model_fields.keys())
    found = [(name, f"`{name}` is for entries of kind evidence", "Send kind=evidence.") for name in sent]
    found = [entry for entry in found if getattr(command, entry[0]) is not None]
    if found:
        raise Invalid.of_all(found)


def list_logs(tx: Tx, command: ListTaskLogs) -> Page[LogView]:
    """Read a task's log, newest first."""
    filters = {"task_id": command.task_id, "kind": command.kind}
    before = paging.start_id(command, filters, ID_MAXIMUM)
    row = lookup.task(tx, command.task_id)
    rows, has_more = logs.newest(tx, row.id, command.limit, before=before, kind=command.kind)
    count = partial(logs.count, tx, row.id, command.kind)
    return paging.page(command, filters, rows, has_more, count, item=serializers.log)


def list_agent_logs(tx: Tx, command: ListAgentLogs) -> Page[LogView]:
    """List the log entries of an agent over all tasks, newest first.

    A page searches 10,000 entries of all agents at most. So a page can be short or empty although more follow: continue
    until `next_cursor` is null. Unless `total` is exact, it counts the newest 10,000 entries only.
    """
    filters = {"logs_of": command.agent_id, "kind": command.kind}
    end = logs.newest_id(tx) + 1
    before = paging.start_id(command, filters, end)
    first = max(1, before - SEARCHED_PER_PAGE)
    rows, has_more = logs.by_author(tx, command.agent_id, command.limit, first=first, before=before, kind=command.kind)
    if not rows and agents.get(tx, command.agent_id) is None:
        raise AgentNotFound(f"unknown agent {command.agent_id!r}", agent_id=command.agent_id)
    last = rows[-1].id if has_more else first
    following = cursor.write((last,), filters) if last > 1 else None
    exact = command.total == "exact"
    counted = 1 if exact else max(1, end - SEARCHED_PER_PAGE)
    total = logs.count_by_author(tx, command.agent_id, command.kind, first=counted, exact=exact)
    return Page([serializers.log(row) for row in rows], following, total.number, total.is_minimum or counted > 1)


def read_lines(tx: Tx, command: ReadLogLines) -> LogLinesView:
    """Read the first line of log entries by their ids, for a list of events."""
    found = logs.beginnings(tx, command.ids)
    return LogLinesView([LogLineView(log_id, _first_line(text)) for log_id, text in found])


def _first_line(text: str) -> str:
    """Return the first line with text."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LOG_LINE_CHARACTERS else line[: LOG_LINE_CHARACTERS - 1] + "…"
