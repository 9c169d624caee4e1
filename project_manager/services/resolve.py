"""Find projects and epics by name, and suggest a name where none is found.

Comparing a name with all others takes time, so it happens on a reader and never in the writer's transaction.
"""

from collections.abc import Callable
from functools import partial

from project_manager.domain.errors import EpicNotFound, Invalid, NameTaken, ProjectManagerError, ProjectNotFound
from project_manager.domain.hints import did_you_mean
from project_manager.domain.names import INBOX, name_key, nearest, suggestion
from project_manager.schemas.commands import Scoped
from project_manager.store import epics, projects
from project_manager.store.epics import EpicRow
from project_manager.store.projects import ProjectRow
from project_manager.store.transaction import Tx

Named = list[tuple[int, str]]


class TypoCheckRequired(ProjectManagerError):
    """A new name that is not in `tx.new_names` yet.

    The caller runs `check` on a reader, which raises Invalid for a probable typing error. Then it repeats the call with
    `name` in `tx.new_names`.
    """

    def __init__(self, kind: str, name: str, check: Callable[[Tx], None]) -> None:
        super().__init__(f"the {kind} `{name}` is new")
        self.name = name
        self.check = check


def project(tx: Tx, name: str) -> ProjectRow | None:
    """Return the project with the key of this name, or None."""
    return projects.by_key(tx, name_key(name))


def epic(tx: Tx, project_id: int, name: str) -> EpicRow | None:
    """Return the epic of the project with the key of this name, or None."""
    return epics.by_key(tx, project_id, name_key(name))


def project_id_of(tx: Tx, project_id: int | None, project_name: str | None) -> int | None:
    """Return the id of the project of a query, given by id or name. Return None for all projects.

    Raises ProjectNotFound with a suggested name, and Invalid when id and name differ.
    """
    if project_name is None:
        return project_id
    row = project(tx, project_name)
    if row is None:
        raise project_not_found(project_name)
    if project_id not in (None, row.id):
        raise conflicting_fields_error("project_name", f"project `{row.name}` has id {row.id}, not {project_id}")
    return row.id


def project_not_found(name: str) -> ProjectNotFound:
    """Return a ProjectNotFound error, which can look up a suggestion later on a reader."""
    error = ProjectNotFound(f"project `{name}` not found", project_name=name)
    error.suggest = partial(_suggest, error, name, projects.names_like)
    return error


def _suggest(error: ProjectManagerError, name: str, names_like: Callable[[Tx, str], list[str]], tx: Tx) -> None:
    """Put the most similar existing name into the hint of the error."""
    near = suggestion(name, names_like(tx, name))
    if near is not None:
        error.hint = f"Did you mean `{near}`?"


def scope(tx: Tx, command: Scoped) -> dict[str, int]:
    """Return the filters `project_id` and `epic_id` that a query sets, by id or by name."""
    project_id = project_id_of(tx, command.project_id, command.project_name)
    epic_id = epic_in_scope(tx, project_id, command.epic_id, command.epic_name)
    found = {"project_id": project_id, "epic_id": epic_id}
    return {name: number for name, number in found.items() if number is not None}


def epic_in_scope(tx: Tx, project_id: int | None, epic_id: int | None, epic_name: str | None) -> int | None:
    """Return the id of the epic of a query, given by id or name. Return None for all epics.

    Without a project the name has to be unique among all projects. Raises EpicNotFound, Invalid.
    """
    if epic_name is None:
        return epic_id
    found = _epics_by_name(tx, project_id, epic_name)
    if not found:
        raise _epic_not_found(project_id, epic_name)
    if len(found) > 1:
        places = ", ".join(str(row.project_id) for row in found[: epics.NAMESAKES])
        message = f"epic `{epic_name}` exists in several projects: {places}"
        raise Invalid.of("epic_name", message, "Send project_id or project_name too.")
    if epic_id not in (None, found[0].id):
        raise conflicting_fields_error("epic_name", f"epic `{found[0].name}` has id {found[0].id}, not {epic_id}")
    return found[0].id


def _epic_not_found(project_id: int | None, name: str) -> EpicNotFound:
    error = EpicNotFound(f"epic `{name}` not found", epic_name=name)
    error.suggest = partial(_suggest, error, name, partial(_epics_like, project_id))
    return error


def _epics_like(project_id: int | None, tx: Tx, name: str) -> list[str]:
    return epics.names_like(tx, project_id, name)


def _epics_by_name(tx: Tx, project_id: int | None, name: str) -> list[EpicRow]:
    """Return the epics of this name: in the project, or some of those in all projects."""
    if project_id is not None:
        row = epic(tx, project_id, name)
        return [] if row is None else [row]
    return epics.called(tx, name) or epics.with_key(tx, name_key(name))


def require_project_typo_check(tx: Tx, name: str) -> None:
    """Raise TypoCheckRequired until the name was compared with all projects.

    A name that is similar to an existing one is probably a typing error.
    """
    if name_key(name) != name_key(INBOX) and name not in tx.new_names:
        raise TypoCheckRequired("project", name, partial(_check_project_typo, name))


def require_epic_typo_check(tx: Tx, project_id: int, name: str) -> None:
    """Raise TypoCheckRequired until the name was compared with the epics of the project."""
    if name not in tx.new_names:
        raise TypoCheckRequired("epic", name, partial(_check_epic_typo, project_id, name))


def _check_project_typo(name: str, tx: Tx) -> None:
    """Raise Invalid for a name that is close to an existing one. The inbox counts also before it exists."""
    if _projects_of(tx, name):  # another call has created it since the comparison was requested
        return
    near = nearest(name, [INBOX, *projects.names_like(tx, name)])
    if near is not None:
        raise _probable_typo_error("project", near)


def _check_epic_typo(project_id: int, name: str, tx: Tx) -> None:
    if _epics_of(tx, project_id, name):  # another call has created it since, as above
        return
    near = nearest(name, epics.names_like(tx, project_id, name))
    if near is not None:
        raise _probable_typo_error("epic", near)


def check_project_name_free(tx: Tx, name: str, project_id: int | None = None) -> None:
    """Raise NameTaken when another project has this name."""
    taken = _conflicting_name(project_id, _projects_of(tx, name))
    if taken is not None:
        raise NameTaken(
            f"the name {taken[1]!r} is already used by project {taken[0]}", project_id=taken[0], name=taken[1]
        )


def check_epic_name_free(tx: Tx, project_id: int, name: str, epic_id: int | None = None) -> None:
    """Raise NameTaken when another epic of the project has this name."""
    taken = _conflicting_name(epic_id, _epics_of(tx, project_id, name))
    if taken is not None:
        words = f"the name {taken[1]!r} is already used by epic {taken[0]} of this project"
        raise NameTaken(words, epic_id=taken[0], name=taken[1])


def conflicting_fields_error(field: str, message: str) -> Invalid:
    """Return an Invalid error for two fields that contradict each other."""
    return Invalid.of(field, message, "Send one of the two.")


def _projects_of(tx: Tx, name: str) -> Named:
    row = project(tx, name)
    return [] if row is None else [(row.id, row.name)]


def _epics_of(tx: Tx, project_id: int, name: str) -> Named:
    row = epic(tx, project_id, name)
    return [] if row is None else [(row.id, row.name)]


def _conflicting_name(own: int | None, same: Named) -> tuple[int, str] | None:
    return next((known for known in same if known[0] != own), None)


def _probable_typo_error(kind: str, near: str) -> Invalid:
    hint = f"Send `{near}`. To create a similar name, use the dashboard or POST /api/{kind}s."
    return Invalid.of(f"{kind}_name", f"{kind} not found{did_you_mean(near)}", hint)
