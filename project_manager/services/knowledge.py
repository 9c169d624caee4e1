"""Use cases of knowledge about projects and epics: write, find, read versions, and log its use."""

import json
from functools import partial
from typing import Any

import orjson

from project_manager.domain.errors import Invalid, KnowledgeNotFound, VersionMismatch
from project_manager.domain.events.knowledge import KnowledgeCreated, KnowledgeEvent, KnowledgeLogged, KnowledgeUpdated
from project_manager.domain.graph import find_cycle
from project_manager.domain.limits import ID_MAXIMUM
from project_manager.domain.names import name_key
from project_manager.schemas import knowledge as schemas
from project_manager.schemas.instructions import INSTRUCTIONS
from project_manager.schemas.views import Page
from project_manager.services import budget, lookup, paging
from project_manager.services.serializers import view_of
from project_manager.store import agents, events, knowledge, seals
from project_manager.store.knowledge import WRITABLE, ExcerptRow, KnowledgeLogRow, KnowledgeRow, VersionRow
from project_manager.store.pages import Total
from project_manager.store.seals import Digests
from project_manager.store.transaction import Tx

ROW_BYTES = 420
INSTRUCTION_ITEMS = 3
INSTRUCTION_TOKENS = 1000
EXCERPTS_CHARACTERS = 2000


def upsert(tx: Tx, command: schemas.UpsertKnowledge) -> schemas.KnowledgeSavedView:
    """Save knowledge about a project or epic: a decision, a convention, a finding; or change it by id.

    Only the fields that are sent change, and every version stays readable. With `version` the change is refused if the
    item has changed since. Sending the present values changes nothing.
    """
    if command.knowledge_id is None:
        return _create(tx, command)
    row = _find(tx, command.knowledge_id)
    lookup.check_version("item", row.version, command.version)
    if command.project_id is not None or command.project_name is not None:
        _check_same_project(tx, row, command)
    sent = _values(command, [name for name in WRITABLE if name in command.model_fields_set])
    return _change(tx, row, sent, command.change_reason)


def remember(tx: Tx, command: schemas.Remember) -> schemas.KnowledgeSavedView:
    """Save a project finding.

    It can be a decision, a convention or a result for later agents, with a title and a short content. The same title
    again replaces the content. Claims and get_context return the three most important items of a project. The project
    is that of the task, project_id or project_name, or else that of your leases.
    """
    named = (command.project_id, command.project_name, command.task_id)
    leased = {row.project_id for row in agents.leased_by(tx, tx.actor.id)} if named == (None, None, None) else set()
    project_id = leased.pop() if len(leased) == 1 else _project_of_new(tx, command)
    row = knowledge.titled(tx, project_id, command.title)
    if row is not None:
        names = [name for name in ("content", "priority") if name in command.model_fields_set]
        return _change(tx, row, {name: getattr(command, name) for name in names}, None)
    fields = {name: getattr(command, name) for name in ("title", "content", "task_id", "priority")}
    return _create(tx, schemas.UpsertKnowledge.model_validate({**fields, "project_id": project_id}))


def excerpts(stored: str, room: int = EXCERPTS_CHARACTERS) -> list[schemas.KnowledgeExcerptView]:
    """Return the most important items of a project within `room` characters. `stored` is `knowledge.most_important`."""
    if stored == "[]":
        return []
    rows = sorted(map(ExcerptRow._make, orjson.loads(stored)), key=ExcerptRow.rank)
    found = []
    for left, row in zip(range(len(rows), 0, -1), rows, strict=True):
        content, longest = row.content, max(0, room // left - len(row.title))
        if len(content) > longest:
            notice = f" [truncated; read knowledge {row.id}]"
            content = content[: max(0, longest - len(notice))] + notice
        room -= len(row.title) + len(content)
        found.append(schemas.KnowledgeExcerptView(row.id, row.title, content))
    return found


def most_important(tx: Tx, project_id: int, room: int) -> list[schemas.KnowledgeExcerptView]:
    """Return the most important items of a project within `room` characters, at most EXCERPTS_CHARACTERS."""
    return excerpts(knowledge.most_important_of(tx, project_id), min(room, EXCERPTS_CHARACTERS))


def retire(tx: Tx, command: schemas.RetireKnowledge) -> schemas.KnowledgeSavedView:
    """Remove an item of knowledge from lists and search. Its versions stay; `active` true restores it."""
    row = _find(tx, command.knowledge_id)
    lookup.check_version("item", row.version, command.version)
    return _change(tx, row, {"active": 0}, None)


def search(tx: Tx, command: schemas.GetKnowledge) -> Page[schemas.KnowledgeView]:
    """Find knowledge about a project or epic: decisions, conventions, findings; or read one item by id.

    Sorted by priority (5 first), then last changed first. `q` searches title, content, category and tags for all of its
    words. epic_id selects the items of that epic and of its whole project. budget_tokens shortens contents
    (`content_cut`). Rows that do not fit are on the next page.
    """
    filters = _filters(tx, command)
    after = paging.start(command, filters, 3)
    rows, has_more = knowledge.page(tx, filters, after=after, limit=command.limit)
    fitting = _within_budget(rows, command.budget_tokens)
    return paging.page(
        command,
        filters,
        fitting,
        has_more or len(fitting) < len(rows),
        partial(knowledge.count, tx, filters),
        item=lambda entry: entry[1],
        position=lambda entry: (entry[0].priority, entry[0].updated_at, entry[0].id),
    )


def get_instructions(tx: Tx, command: schemas.GetInstructions) -> schemas.InstructionsView:
    """Read how to work: the loop of claiming, working and finishing; with a project, also its main knowledge.

    These are up to three items with the highest priority. With epic_id they are from the epic and its project.
    """
    asked = command.project_id is not None or command.epic_id is not None
    if not asked or not command.include_knowledge:
        return schemas.InstructionsView(INSTRUCTIONS, [], 0)
    about = {"project_id": command.project_id, "epic_id": command.epic_id}
    sizes = {"limit": INSTRUCTION_ITEMS, "budget_tokens": INSTRUCTION_TOKENS, "total": "exact"}
    known = search(tx, schemas.GetKnowledge.model_validate({**about, **sizes}))
    return schemas.InstructionsView(INSTRUCTIONS, known.items, known.total)


def get(tx: Tx, command: schemas.GetKnowledgeItem) -> schemas.KnowledgeView:
    """Read the present version of a knowledge item, active or not."""
    return _shown(_find(tx, command.knowledge_id))


def list_versions(tx: Tx, command: schemas.ListKnowledgeVersions) -> Page[schemas.KnowledgeVersionView]:
    """Read every version of an item of knowledge, newest first, with content, author, time and reason."""
    row = _find(tx, command.knowledge_id)
    filters = {"versions_of": row.id}
    before = paging.start_id(command, filters, ID_MAXIMUM)
    rows, has_more = knowledge.versions(tx, row.id, command.limit, before=before)
    return paging.page(
        command,
        filters,
        rows,
        has_more,
        lambda *, exact: Total(row.version),
        item=_version,
        position=lambda version: (version.version,),
    )


def append_log(tx: Tx, command: schemas.AppendKnowledgeLog) -> schemas.KnowledgeLoggedView:
    """Log an action on an item of knowledge: it was used, reviewed, or found wrong. The item does not change."""
    row = _find(tx, command.knowledge_id)
    metadata = to_json(command.metadata)
    entry = knowledge.add_log(tx, row.id, command.action_type, command.change_reason, metadata)
    sealed = seals.digests_of("knowledge_logs", entry)
    emit(tx, KnowledgeLogged(**event_fields(row), log_id=entry.id, action_type=entry.action_type), row, sealed=sealed)
    return schemas.KnowledgeLoggedView(success=True, knowledge_id=row.id, log_id=entry.id, log=_entry(entry))


def list_logs(tx: Tx, command: schemas.ListKnowledgeLogs) -> Page[schemas.KnowledgeLogView]:
    """Read the log of an item of knowledge, newest first."""
    row = _find(tx, command.knowledge_id)
    filters = {"log_of": row.id, "action_type": command.action_type}
    before = paging.start_id(command, filters, ID_MAXIMUM)
    chosen: dict[str, Any] = {"knowledge_id": row.id}
    if command.action_type is not None:
        chosen["action_type"] = command.action_type
    rows, has_more = knowledge.logs(tx, chosen, before=before, limit=command.limit)
    return paging.page(command, filters, rows, has_more, partial(knowledge.count_logs, tx, chosen), item=_entry)


def _create(tx: Tx, command: schemas.UpsertKnowledge) -> schemas.KnowledgeSavedView:
    if command.version is not None:
        raise VersionMismatch(
            f"a new item has no version {command.version}",
            hint="Send knowledge_id to update an item, or omit version to create one.",
            expected=command.version,
        )
    missing = [name for name in ("title", "content") if not getattr(command, name)]
    if missing:
        raise Invalid.of_all([(name, f"`{name}` is missing", f"Send `{name}`.") for name in missing])
    project_id = _project_of_new(tx, command)
    values = _values(command, list(WRITABLE))
    _check_links(tx, project_id, None, values)
    row = knowledge.add(tx, project_id, values, reason=command.change_reason)
    emit(tx, KnowledgeCreated(**event_fields(row)), row)
    return _saved_view("created", row)


def _change(tx: Tx, row: KnowledgeRow, sent: dict[str, Any], reason: str | None) -> schemas.KnowledgeSavedView:
    values = {name: value for name, value in sent.items() if value != getattr(row, name)}
    if not values:
        return _saved_view("no_changes", row)
    _check_links(tx, row.project_id, row.id, values)
    written = knowledge.update_row(tx, row, values, reason=reason)
    if written is None:
        raise RuntimeError(f"knowledge {row.id} changed within its own transaction")
    emit(tx, KnowledgeUpdated(**event_fields(written), changed=list(values)), written)
    return _saved_view("updated", written)


def _project_of_new(tx: Tx, command: schemas.UpsertKnowledge | schemas.Remember) -> int:
    """Return the project id of a new item: the project sent, or that of its epic, task or parent."""
    epic_id, parent_id = getattr(command, "epic_id", None), getattr(command, "parent_id", None)
    if command.project_id is not None or command.project_name is not None or epic_id is not None:
        return lookup.get_or_create_project(tx, command.project_id, command.project_name, epic_id).id
    if command.task_id is not None:
        return lookup.task(tx, command.task_id).project_id
    if parent_id is not None:
        return _find(tx, parent_id).project_id
    raise Invalid.of("project_id", "`project_id` is missing", "Send project_id, project_name or task_id.")


def _check_same_project(tx: Tx, row: KnowledgeRow, command: schemas.UpsertKnowledge) -> None:
    project = lookup.project(tx, row.project_id)
    is_other_name = command.project_name is not None and name_key(command.project_name) != name_key(project.name)
    if command.project_id not in (None, project.id) or is_other_name:
        message = f"item {row.id} belongs to project {project.id}, {project.name!r}, and cannot be moved"
        field = "project_name" if is_other_name else "project_id"
        raise Invalid.of(field, message, "Omit the project, or create a new item.")


def _check_links(tx: Tx, project_id: int, knowledge_id: int | None, values: dict[str, Any]) -> None:
    """Check that epic, task and parent exist in the project, and that the parents form no cycle.

    Raises EpicNotFound, TaskNotFound, KnowledgeNotFound, Invalid.
    """
    epic_id, task_id, parent_id = (values.get(name) for name in ("epic_id", "task_id", "parent_id"))
    if epic_id is not None:
        lookup.get_or_create_epic(tx, lookup.project(tx, project_id), epic_id, None)
    if task_id is not None and lookup.task(tx, task_id).project_id != project_id:
        raise _wrong_project_error("task_id", f"task {task_id} is not in project {project_id}")
    if parent_id is None:
        return
    if _find(tx, parent_id).project_id != project_id:
        raise _wrong_project_error("parent_id", f"item {parent_id} is not in project {project_id}")
    cycle = None if knowledge_id is None else find_cycle(knowledge_id, [parent_id], lambda above: _ancestors(tx, above))
    if cycle is not None:
        path = " -> ".join(str(part) for part in cycle)
        message = f"item {knowledge_id} would become its own ancestor: {path}"
        raise Invalid.of("parent_id", message, "Choose another parent.")


def _ancestors(tx: Tx, knowledge_id: int) -> list[int]:
    parent = _find(tx, knowledge_id).parent_id
    return [] if parent is None else [parent]


def _filters(tx: Tx, command: schemas.GetKnowledge) -> dict[str, Any]:
    filters = {
        name: getattr(command, name)
        for name in ("project_id", "epic_id", "task_id", "parent_id", "knowledge_id", "category", "q")
        if getattr(command, name) not in (None, "")
    }
    if command.epic_id is not None:
        project = lookup.get_or_create_project(tx, command.project_id, None, command.epic_id)
        lookup.get_or_create_epic(tx, project, command.epic_id, None)
        filters["project_id"] = project.id
    elif command.project_id is not None:
        lookup.project(tx, command.project_id)
    if command.tags:
        filters["labels"] = command.tags
    if command.knowledge_id is not None:
        _find(tx, command.knowledge_id)
    elif not command.include_inactive:
        filters["active"] = True
    return filters


def _find(tx: Tx, knowledge_id: int) -> KnowledgeRow:
    row = knowledge.get(tx, knowledge_id)
    if row is None:
        raise KnowledgeNotFound(f"knowledge {knowledge_id} not found", knowledge_id=knowledge_id)
    return row


def _values(command: schemas.UpsertKnowledge, names: list[str]) -> dict[str, Any]:
    """Return the fields of the command in the format of the store."""
    stored: dict[str, Any] = {name: getattr(command, name) for name in names}
    stored.update({name: to_json(stored[name]) for name in ("tags", "metadata") if name in stored})
    stored.update({name: int(stored[name]) for name in ("active",) if name in stored})
    return stored


def to_json(value: object) -> str:
    """Serialize tags or metadata to JSON for the store."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _within_budget(rows: list[KnowledgeRow], tokens: int | None) -> list[tuple[KnowledgeRow, schemas.KnowledgeView]]:
    """Return the rows that fit with their views, at least one. Contents share the rest of the budget evenly."""
    if tokens is None:
        return [(row, _shown(row)) for row in rows]
    room = budget.characters(tokens)
    fitting: list[tuple[KnowledgeRow, schemas.KnowledgeView]] = []
    for left, row in zip(range(len(rows), 0, -1), rows, strict=True):
        size = ROW_BYTES + sum(len(text.encode()) for text in (row.title, row.tags, row.metadata))
        if fitting and size > room:
            break
        view = _shown(row, longest=max(0, room // left - size))
        room -= size + len(view.content.encode())
        fitting.append((row, view))
    return fitting


def _shown(row: KnowledgeRow, *, longest: int | None = None) -> schemas.KnowledgeView:
    """Serialize an item. `longest` limits the content, in bytes."""
    content = row.content if longest is None else row.content.encode()[:longest].decode(errors="ignore")
    cut = len(content) < len(row.content)
    return view_of(schemas.KnowledgeView, row, content=content, content_cut=cut)


def _version(row: VersionRow) -> schemas.KnowledgeVersionView:
    return view_of(schemas.KnowledgeVersionView, row, change_reason=row.reason)


def _entry(row: KnowledgeLogRow) -> schemas.KnowledgeLogView:
    return view_of(schemas.KnowledgeLogView, row)


def _saved_view(operation: Any, row: KnowledgeRow) -> schemas.KnowledgeSavedView:
    sentences = {"created": "was created", "updated": "was updated", "no_changes": "is unchanged"}
    return schemas.KnowledgeSavedView(
        success=True,
        message=f"knowledge {row.id} {sentences[operation]}: version {row.version}",
        operation=operation,
        knowledge_id=row.id,
        version=row.version,
        knowledge_item=_shown(row),
    )


def event_fields(row: KnowledgeRow) -> dict[str, Any]:
    """Return the common fields of the events about the item."""
    return {"knowledge_id": row.id, "title": row.title, "category": row.category, "version": row.version}


def emit(tx: Tx, event: KnowledgeEvent, row: KnowledgeRow, *, sealed: Digests | None = None) -> None:
    """Emit an event about the item. `sealed` contains facts that only the hash chain covers."""
    facts = seals.digests_of("knowledge_items", row) | (sealed or {})
    events.add(tx, event, project_id=row.project_id, epic_id=row.epic_id, task_id=row.task_id, sealed=facts)


def _wrong_project_error(field: str, message: str) -> Invalid:
    return Invalid.of(field, message, "Epic, task and parent must be in the item's project.")
