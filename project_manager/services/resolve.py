"""Find projects and epics by name, and suggest a name where none is found.

Comparing a name with all others takes time, so it happens on a reader and never in the writer's transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from project_manager.domain.errors import EpicNotFound, Invalid, NameTaken, ProjectManagerError, ProjectNotFound
from project_manager.domain.hints import did_you_mean
from project_manager.domain.names import INBOX, name_key, nearest, suggestion
from project_manager.schemas.commands import Scoped
from project_manager.store import epics, projects
from project_manager.store.epics import EpicRow
from project_manager.store.projects import ProjectRow
from project_manager.store.transaction import Tx


class TypoCheckRequired(ProjectManagerError):
    """A new name that must be compared with the existing names first.

    The caller runs `check` on a reader, which raises Invalid for a probable typing error. Then it repeats the call with
    `name` in `tx.new_names`.
    """

    def __init__(self, kind: str, name: str, check: Callable[[Tx], None]) -> None:
        super().__init__(f"the {kind} `{name}` is new")
        self.name = name
        self.check = check


def project(tx: Tx, name: str) -> ProjectRow | None:
    """Return the project with the key of this name, or None."""
    return projects.get_by_key(tx, name_key(name))


def epic(tx: Tx, project_id: int, name: str) -> EpicRow | None:
    """Return the epic of the project with the key of this name, or None."""
    return epics.get_by_key(tx, project_id, name_key(name))


def project_id_of(tx: Tx, project_id: int | None, project_name: str | None) -> int | None:
    """Return the id of the project of a query, by id or name. None stands for all projects.

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
    error.suggest = partial(_suggest, error, name, projects.names_of_similar_length)
    return error


def _suggest(error: ProjectManagerError, name: str, names: Callable[[Tx, str], list[str]], tx: Tx) -> None:
    """Put the most similar existing name into the hint of the error."""
    near = suggestion(name, names(tx, name))
    if near is not None:
        error.hint = f"Did you mean `{near}`?"


def scope(tx: Tx, command: Scoped) -> dict[str, int]:
    """Return the filters `project_id` and `epic_id` that a query sets, by id or by name."""
    project_id = project_id_of(tx, command.project_id, command.project_name)
    epic_id = epic_in_scope(tx, project_id, command.epic_id, command.epic_name)
    found = {"project_id": project_id, "epic_id": epic_id}
    return {name: number for name, number in found.items() if number is not None}


def epic_in_scope(tx: Tx, project_id: int | None, epic_id: int | None, epic_name: str | None) -> int | None:
    """Return the id of the epic of a query, by id or name. None stands for all epics.

    Without a project the name has to be unique among all projects. Raises EpicNotFound, Invalid.
    """
    if epic_name is None:
        return epic_id
    found = _epics_by_name(tx, project_id, epic_name)
    if not found:
        raise _epic_not_found(project_id, epic_name)
    if len(found) > 1:
        project_ids = ", ".join(str(row.project_id) for row in found[: epics.NAMESAKES])
        message = f"epic `{epic_name}` exists in several projects: {project_ids}"
        raise Invalid.of("epic_name", message, "Send project_id or project_name too.")
    if epic_id not in (None, found[0].id):
        raise conflicting_fields_error("epic_name", f"epic `{found[0].name}` has id {found[0].id}, not {epic_id}")
    return found[0].id


def _epic_not_found(project_id: int | None, name: str) -> EpicNotFound:
    error = EpicNotFound(f"epic `{name}` not found", epic_name=name)
    error.suggest = partial(_suggest, error, name, lambda tx, name: epics.names_of_similar_length(tx, project_id, name))
    return error


def _epics_by_name(tx: Tx, project_id: int | None, name: str) -> list[EpicRow]:
    """Return the epics of this name: in the project, or some of those in all projects."""
    if project_id is not None:
        row = epic(tx, project_id, name)
        return [] if row is None else [row]
    return epics.called(tx, name) or epics.with_key(tx, name_key(name))


@dataclass(frozen=True, slots=True)
class Names:
    """The names of all projects, or of the epics of one project.

    `find` returns the row of a name. `similar` returns the names that a new one is compared with.
    """

    kind: str
    find: Callable[[Tx, str], ProjectRow | EpicRow | None]
    similar: Callable[[Tx, str], list[str]]
    place: str = ""

    def check_free(self, tx: Tx, name: str, own_id: int | None = None) -> None:
        """Raise NameTaken when another row has this name."""
        namesake = self.find(tx, name)
        if namesake is not None and namesake.id != own_id:
            message = f"the name {namesake.name!r} is already used by {self.kind} {namesake.id}{self.place}"
            details: dict[str, Any] = {f"{self.kind}_id": namesake.id, "name": namesake.name}
            raise NameTaken(message, **details)

    def require_typo_check(self, tx: Tx, name: str) -> None:
        """Raise TypoCheckRequired until the name was compared with all others, because it may be a typo."""
        if name not in tx.new_names:
            raise TypoCheckRequired(self.kind, name, partial(self._check_typo, name))

    def _check_typo(self, name: str, tx: Tx) -> None:
        if self.find(tx, name) is not None:  # another call has created it since the comparison was requested
            return
        near = nearest(name, self.similar(tx, name))
        if near is not None:
            hint = f"Send `{near}`. To create a similar name, use the dashboard or POST /api/{self.kind}s."
            raise Invalid.of(f"{self.kind}_name", f"{self.kind} not found{did_you_mean(near)}", hint)


def epic_names(project_id: int) -> Names:
    """Return the names of the epics of a project."""
    return Names(
        "epic",
        lambda tx, name: epic(tx, project_id, name),
        lambda tx, name: epics.names_of_similar_length(tx, project_id, name),
        " of this project",
    )


def conflicting_fields_error(field: str, message: str) -> Invalid:
    """Return an Invalid error for two fields that contradict each other."""
    return Invalid.of(field, message, "Send one of the two.")


# A new name is compared with the inbox even before the inbox exists.
PROJECT_NAMES = Names("project", project, lambda tx, name: [INBOX, *projects.names_of_similar_length(tx, name)])
