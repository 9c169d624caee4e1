"""Records of evidence in the log of a task, and the evidence of each criterion."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from project_manager.domain.actors import Actor, is_person
from project_manager.domain.errors import AttestationRequired, Invalid
from project_manager.domain.evidence import ATTESTED_SOURCES, Evidence, Source
from project_manager.domain.policies import Work
from project_manager.schemas.evidence import CriterionEvidence, CriterionView, NewEvidence, SubmittedEvidence
from project_manager.services import serializers, transitions
from project_manager.store import evidence
from project_manager.store.logs import LogRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def record(tx: Tx, row: TaskRow, given: NewEvidence, body: str, *, fence: int, field: str = "criterion") -> LogRow:
    """Add evidence to the log of the task. `fence` is that of the lease under which it is recorded, or 0.

    Raises AttestationRequired for a source that the actor may not name, and Invalid for an unknown criterion.
    """
    details = {name: value for name in NewEvidence.model_fields if (value := getattr(given, name)) is not None}
    if given.criterion is not None:
        details["criterion_text"] = _criterion(row, given.criterion, field)
    details |= {"source": _source(tx.actor, given.source).value, "fence": fence}
    return transitions.note(tx, row, tx.actor.id, "evidence", body, json.dumps(details, ensure_ascii=False))


def record_all(tx: Tx, row: TaskRow, given: Sequence[SubmittedEvidence], *, fence: int) -> list[int]:
    """Add evidence of one call to the log of the task, and return the ids of the entries."""
    for number, entry in enumerate(given):
        if not (entry.body.strip() or entry.command or entry.url):
            field = f"evidence.{number}"
            raise Invalid.of(field, f"`{field}` shows nothing", "Send a body, a command with exit_code, or a url.")
    return [
        record(tx, row, entry, entry.body, fence=fence, field=f"evidence.{number}.criterion").id
        for number, entry in enumerate(given)
    ]


def by_criterion(tx: Tx, row: TaskRow, entries: Collection[Evidence], work: Work) -> list[CriterionView]:
    """Return the criteria of the task, each with its evidence, and evidence of the task as a whole at the end."""
    criteria: list[str] = orjson.loads(row.acceptance)
    groups: list[tuple[int | None, str]] = [*enumerate(criteria), (None, "")]
    authors = evidence.authors_of(tx, [entry.log_id for entry in entries])
    views = []
    for index, text in groups:
        found = [
            CriterionEvidence(
                log_id=entry.log_id,
                author=authors.get(entry.log_id, ""),
                counts=entry.is_successful and work.has(entry),
                fields=serializers.evidence_fields(entry._asdict()),
            )
            for entry in entries
            if (entry.criterion, entry.criterion_text or "") == (index, text)
        ]
        if index is not None or found:
            views.append(CriterionView(index, text, found))
    return views


def _criterion(row: TaskRow, index: int, field: str) -> str:
    """Return the text of a criterion. Raises Invalid for an unknown index."""
    criteria: list[Any] = orjson.loads(row.acceptance)
    if index < len(criteria):
        return str(criteria[index])
    known = f"0 to {len(criteria) - 1}" if criteria else "none"
    hint = f"The criteria of task {row.id} have these indexes: {known}. Omit it for evidence of the whole task."
    raise Invalid.of(field, f"task {row.id} has no criterion {index}", hint)


def _source(actor: Actor, given: Source | None) -> Source:
    """Return the source that the actor may name, or by default the one that it has."""
    if given is None:
        return Source.PERSON if is_person(actor) else Source.REPORTED
    if given in ATTESTED_SOURCES and not actor.attests:
        raise AttestationRequired(
            f"evidence with source `{given.value}` needs a token made with --attest", source=given
        )
    if given is Source.PERSON and not is_person(actor):
        raise AttestationRequired(
            "evidence with source `person` needs an operator's token without an agent id",
            hint="Omit `source`.",
            source=given,
        )
    return given
