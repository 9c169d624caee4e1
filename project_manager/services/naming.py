"""Projects and epics by name, and what a name may mean that nothing has."""

from project_manager.contract.commands import Scoped
from project_manager.contract.plan import INBOX
from project_manager.domain.errors import EpicNotFound, Invalid, NameTaken, ProjectNotFound
from project_manager.domain.names import folded, nearest
from project_manager.store import epics, projects
from project_manager.store.epics import EpicRow
from project_manager.store.projects import ProjectRow
from project_manager.store.transaction import Tx

Named = list[tuple[int, str]]


def project(tx: Tx, name: str) -> ProjectRow | None:
    """The project of this name; one that differs in case alone when none has exactly this one."""
    row = projects.by_name(tx, name)
    if row is not None:
        return row
    project_id = _only("project", name, projects.names(tx))
    return None if project_id is None else projects.get(tx, project_id)


def epic(tx: Tx, project_id: int, name: str) -> EpicRow | None:
    """The epic of this name in the project, as `project` finds one."""
    row = epics.by_name(tx, project_id, name)
    if row is not None:
        return row
    epic_id = _only("epic", name, epics.names(tx, project_id))
    return None if epic_id is None else epics.get(tx, epic_id)


def in_scope(tx: Tx, project_id: int | None, project_name: str | None) -> int | None:
    """The project that a question is about, by id or by name; None when it is about all. Raises ProjectNotFound."""
    if project_name is None:
        return project_id
    row = project(tx, project_name)
    if row is None:
        near = nearest(project_name, [name for _, name in projects.names(tx)])
        hint = ProjectNotFound.default_hint if near is None else f"Did you mean `{near}`?"
        raise ProjectNotFound(f"there is no project `{project_name}`", hint=hint, project_name=project_name)
    if project_id not in (None, row.id):
        raise two_answers("project_name", f"project `{row.name}` is {row.id}, not {project_id}")
    return row.id


def scope(tx: Tx, command: Scoped) -> dict[str, int]:
    """Return the filters `project_id` and `epic_id` that a question sets, by id or by name."""
    project_id = in_scope(tx, command.project_id, command.project_name)
    epic_id = epic_in_scope(tx, project_id, command.epic_id, command.epic_name)
    found = {"project_id": project_id, "epic_id": epic_id}
    return {name: number for name, number in found.items() if number is not None}


def epic_in_scope(tx: Tx, project_id: int | None, epic_id: int | None, epic_name: str | None) -> int | None:
    """Return the epic that a question is about, by id or by name; None when it is about all.

    Without a project the name has to be unique among all projects. Raises EpicNotFound, Invalid.
    """
    if epic_name is None:
        return epic_id
    found = _epics_called(tx, project_id, epic_name)
    if not found:
        present = epics.names(tx, project_id) if project_id is not None else []
        near = nearest(epic_name, [name for _, name in present])
        hint = EpicNotFound.default_hint if near is None else f"Did you mean `{near}`?"
        raise EpicNotFound(f"there is no epic `{epic_name}`", hint=hint, epic_name=epic_name)
    if len(found) > 1:
        places = ", ".join(str(row.project_id) for row in found[:10])
        message, hint = f"several projects have an epic `{epic_name}`: {places}", "Send project_id or project_name too."
        raise Invalid(message, hint=hint, faults=[{"field": "epic_name", "message": message, "hint": hint}])
    if epic_id not in (None, found[0].id):
        raise two_answers("epic_name", f"epic `{found[0].name}` is {found[0].id}, not {epic_id}")
    return found[0].id


def _epics_called(tx: Tx, project_id: int | None, name: str) -> list[EpicRow]:
    """The epics of this name: in the project, or in all projects."""
    if project_id is not None:
        row = epic(tx, project_id, name)
        return [] if row is None else [row]
    exact = epics.called(tx, name)
    if exact:
        return exact
    alike = [number for number, other in epics.all_names(tx) if folded(other) == folded(name)]
    rows = [epics.get(tx, number) for number in alike[:10]]
    return [row for row in rows if row is not None]


def check_no_slip_of_project(tx: Tx, name: str) -> None:
    """Raises Invalid when a project of nearly this name exists: it was meant, more probably than a new one. The inbox
    is always meant by its name, and by a slip of it, also before there is one.
    """
    if folded(name) == folded(INBOX):
        return
    near = nearest(name, [INBOX, *(other for _, other in projects.names(tx))])
    if near is not None:
        raise _slip("project", near)


def check_no_slip_of_epic(tx: Tx, project_id: int, name: str) -> None:
    near = nearest(name, [other for _, other in epics.names(tx, project_id)])
    if near is not None:
        raise _slip("epic", near)


def check_project_is_new(tx: Tx, name: str, project_id: int | None = None) -> None:
    """Raises NameTaken when another project has this name, in whatever case."""
    taken = _taken(name, project_id, projects.names(tx))
    if taken is not None:
        raise NameTaken(f"project {taken[0]} is called {taken[1]!r} already", project_id=taken[0], name=taken[1])


def check_epic_is_new(tx: Tx, project_id: int, name: str, epic_id: int | None = None) -> None:
    """Raises NameTaken when another epic of the project has this name, in whatever case."""
    taken = _taken(name, epic_id, epics.names(tx, project_id))
    if taken is not None:
        words = f"epic {taken[0]} of this project is called {taken[1]!r} already"
        raise NameTaken(words, epic_id=taken[0], name=taken[1])


def two_answers(field: str, message: str) -> Invalid:
    fault = {"field": field, "message": message, "hint": "Send one of the two."}
    return Invalid(message, hint="Send one of the two.", faults=[fault])


def _only(kind: str, name: str, present: Named) -> int | None:
    same = [(number, other) for number, other in present if folded(other) == folded(name)]
    if len(same) > 1:
        names = ", ".join(f"`{other}` ({number})" for number, other in same)
        message, hint = f"`{name}` may be any of {names}", f"Send the name exactly, or {kind}_id."
        raise Invalid(message, hint=hint, faults=[{"field": f"{kind}_name", "message": message, "hint": hint}])
    return same[0][0] if same else None


def _taken(name: str, own: int | None, present: Named) -> tuple[int, str] | None:
    return next((known for known in present if known[0] != own and folded(known[1]) == folded(name)), None)


def _slip(kind: str, near: str) -> Invalid:
    hint = f"Send `{near}`. To create another one of nearly this name, use the dashboard or POST /api/{kind}s."
    message = f"there is {'an' if kind == 'epic' else 'a'} {kind} `{near}`: did you mean it?"
    return Invalid(message, hint=hint, faults=[{"field": f"{kind}_name", "message": message, "hint": hint}])
