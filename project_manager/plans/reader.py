"""Parser from a document to the values of a plan, with positions. It collects all errors of a document."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from project_manager.domain import limits
from project_manager.domain.errors import Invalid
from project_manager.domain.names import INBOX
from project_manager.plans import syntax_hints
from project_manager.plans.diagnostics import Diagnostic
from project_manager.plans.knowledge_reader import PlanKnowledge
from project_manager.plans.plan_format import (
    TASK_DEFAULTS,
    PlanDocument,
    PlanEpic,
    PlanProject,
    PlanStandaloneTask,
    PlanTask,
)
from project_manager.plans.yaml_tree import (
    Converted,
    Mapping,
    Node,
    Position,
    Scalar,
    Sequence,
    SyntaxProblem,
    compose,
    looks_like_json,
    to_python,
)
from project_manager.schemas import validation
from project_manager.schemas.commands import Command

MAX_DIAGNOSTICS = 5_000


Spec = TypeVar("Spec", bound=Command)


@dataclass(frozen=True, slots=True)
class ParsedReference:
    """A reference to a task, as written."""

    text: str
    position: Position


@dataclass(slots=True, eq=False)
class PlannedTask:
    """A task of the plan. `values` holds only the fields in the document: all fields take four times the memory."""

    position: Position
    path: str
    project: str
    epic: str | None
    values: dict[str, Any]
    depends_on: tuple[ParsedReference, ...]
    conflicts_with: tuple[ParsedReference, ...]
    parent: ParsedReference | None

    @property
    def name(self) -> str:
        return str(self.values["name"])

    @property
    def external_key(self) -> str | None:
        return self.values.get("external_key")

    def with_defaults(self) -> dict[str, Any]:
        """Return all fields, with the defaults of those that the document does not set."""
        return {**TASK_DEFAULTS, **self.values}


@dataclass(slots=True)
class PlannedEpic:
    position: Position
    project: str
    spec: PlanEpic


@dataclass(slots=True, eq=False)
class PlannedKnowledge:
    """A knowledge item of the plan, with its references as written."""

    position: Position
    path: str
    project: str
    spec: PlanKnowledge
    epic: ParsedReference | None
    task: ParsedReference | None
    parent: ParsedReference | None


@dataclass(slots=True)
class PlannedProject:
    position: Position
    spec: PlanProject


@dataclass(slots=True)
class Plan:
    """The content of a document as flat lists in document order. A plan with `diagnostics` is not imported.

    `digest` is the SHA-256 of the document.
    """

    source: str
    diagnostics: list[Diagnostic] = field(default_factory=list)
    projects: list[PlannedProject] = field(default_factory=list)
    epics: list[PlannedEpic] = field(default_factory=list)
    tasks: list[PlannedTask] = field(default_factory=list)
    knowledge: list[PlannedKnowledge] = field(default_factory=list)
    digest: str = ""


def read(document: str, source: str, report: Callable[[int], None] = lambda line: None) -> Plan:
    """Parse the document and return the plan with its errors. `report` is called periodically with the current line."""
    name = source.lower()
    is_json = name.endswith(".json") or (looks_like_json(document) and not name.endswith((".yaml", ".yml")))
    try:
        root = compose(document, report, _EarlyTasks(), is_json=is_json, strict_json=name.endswith(".json"))
    except SyntaxProblem as error:
        return Plan(source, [Diagnostic(error.position, "(document)", error.message, error.hint)])
    reader = _Reader(Plan(source, digest=hashlib.sha256(document.encode(errors="surrogatepass")).hexdigest()))
    try:
        reader.document(root)
        reader.find_duplicates()
    except _TooManyDiagnostics:
        last = reader.plan.diagnostics[-1]
        reader.plan.diagnostics.append(
            Diagnostic(last.position, last.field, f"stopped after {MAX_DIAGNOSTICS:,} errors")
        )
    return reader.plan


@dataclass(slots=True)
class _ParsedNode(Generic[Spec]):
    """The validated values of a mapping, with the mapping itself."""

    value: Spec
    node: Mapping
    path: str


class _TooManyDiagnostics(Exception):
    """The error limit is reached. More errors would take time and not help the author."""


class _Reader:
    """A tree walker that builds a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._defined: dict[tuple[str | None, ...], Position] = {}

    def document(self, root: Node) -> None:
        if isinstance(root, Scalar) and root.text is None:
            self._report(root.position, "(document)", "the document is empty; add `projects` or `standalone_tasks`")
            return
        top = self._parse(PlanDocument, root, "", "projects", "standalone_tasks")
        if top is None:
            return
        for path, node in self._children(top, "projects"):
            self._project(node, path)
        for path, node in self._children(top, "standalone_tasks"):
            self._task(PlanStandaloneTask, node, path, INBOX, None)

    def find_duplicates(self) -> None:
        for project in self.plan.projects:
            self._define(("project", project.spec.name), project.position, f"project {project.spec.name!r}")
        for epic in self.plan.epics:
            message = f"epic {epic.spec.name!r} of this project"
            self._define(("epic", epic.project, epic.spec.name), epic.position, message)
        for task in self.plan.tasks:
            key = task.external_key
            if key is not None:
                self._define(("key", task.project, key), task.position, f"external_key {key!r} of this project")
                continue
            message = f"task {task.name!r} of this {'epic' if task.epic else 'project'}"
            hint = "Rename one of them, or give each an external_key."
            self._define(("task", task.project, task.epic, task.name), task.position, message, hint)

    def _define(self, identity: tuple[str | None, ...], position: Position, message: str, hint: str = "") -> None:
        earlier = self._defined.setdefault(identity, position)
        if earlier is not position:
            self._report(position, "name", f"{message} is already defined on line {earlier.line}", hint)

    def _project(self, node: Node, path: str) -> None:
        project = self._parse(PlanProject, node, path, "epics", "tasks", "knowledge")
        if project is None:
            return
        name = project.value.name
        self.plan.projects.append(PlannedProject(project.node.position, project.value))
        for inner, child in self._children(project, "epics"):
            self._epic(child, inner, name)
        for inner, child in self._children(project, "tasks"):
            self._task(PlanTask, child, inner, name, None)
        for inner, child in self._children(project, "knowledge"):
            self._knowledge(child, inner, name)

    def _knowledge(self, node: Node, path: str, project: str) -> None:
        item = self._parse(PlanKnowledge, node, path)
        if item is not None:
            texts = {key: getattr(item.value, key) for key in ("epic", "task", "parent")}
            links = {key: _refs(item, [text], key)[0] if text else None for key, text in texts.items()}
            self.plan.knowledge.append(PlannedKnowledge(item.node.position, path, project, item.value, **links))

    def _epic(self, node: Node, path: str, project: str) -> None:
        epic = self._parse(PlanEpic, node, path, "tasks")
        if epic is None:
            return
        self.plan.epics.append(PlannedEpic(epic.node.position, project, epic.value))
        for inner, child in self._children(epic, "tasks"):
            self._task(PlanTask, child, inner, project, epic.value.name)

    def _task(self, kind: type[PlanTask], node: Node, path: str, project: str, epic: str | None) -> None:
        if isinstance(node, Converted) and isinstance(node.value, _ReadTask):
            task, diagnostics = node.value
            for diagnostic in diagnostics:
                self._add(diagnostic)
        else:
            task = self.read_task(kind, node, path)
        if task is None:
            return
        task.project = task.values.pop("project", project)
        task.epic = epic
        self.plan.tasks.append(task)

    def read_task(self, kind: type[PlanTask], node: Node, path: str) -> PlannedTask | None:
        """Return the task without its project and epic, or None after an error that prevents it."""
        task = self._parse(kind, node, path)
        if task is None:
            return None
        depends_on = _refs(task, task.value.depends_on, "depends_on", "dependencies")
        conflicts_with = _refs(task, task.value.conflicts_with, "conflicts_with")
        parent = None if task.value.parent is None else _refs(task, [task.value.parent], "parent")[0]
        values = {name: getattr(task.value, name) for name in task.value.model_fields_set}
        return PlannedTask(task.node.position, path, "", None, values, depends_on, conflicts_with, parent)

    def _parse(self, kind: type[Spec], node: Node, path: str, *inner: str) -> _ParsedNode[Spec] | None:
        """Validate one mapping without its lists `inner` and return it, or None for another node or too many keys."""
        if not isinstance(node, Mapping):
            hint = syntax_hints.missing_space_hint(node.text or "") if isinstance(node, Scalar) else ""
            self._report(node.position, path or "(document)", f"expected a mapping with {_key_list(kind)}", hint)
            return None
        if len(node.entries) > limits.MAX_KEYS:  # each unknown key would be a separate error
            self._report(node.position, path or "(document)", f"mapping has more than {limits.MAX_KEYS} keys")
            return None
        for key, position, where in _duplicate_keys(node, path, inner):
            self._report(position, where, f"duplicate key `{key}`")
        values = {key: to_python(value) for key, (_, value) in node.entries.items() if key not in inner}
        raw = _without_nulls(kind, values)
        try:
            guesses = max(0, limits.FIELD_ERRORS - len(self.plan.diagnostics))
            return _ParsedNode(validation.read(kind, raw, listed=None, with_suggestions=guesses), node, path)
        except Invalid as error:
            found: Any = error.details["errors"]
        for entry in found:
            name, missing = entry["field"], entry["field"] in kind.model_fields and entry["field"] not in node.entries
            hint = "" if missing else syntax_hints.missing_space_hint(name) or entry["hint"]
            self._report(_position_of(node, kind, name), _joined(path, name), entry["message"], hint)
        # Read again without the invalid fields, so that errors in nested lists are reported in the same run.
        invalid = {entry["field"] for entry in found} | {entry["field"].split(".")[0] for entry in found}
        known_names = validation.names_of(kind)
        valid = {key: value for key, value in raw.items() if key in known_names and key not in invalid}
        for name, known in kind.model_fields.items():
            if known.is_required():
                valid.setdefault(name, f"(line {node.position.line})")
        return _ParsedNode(validation.read(kind, valid, listed=None), node, path)

    def _children(self, parent: _ParsedNode[Any], key: str) -> Iterable[tuple[str, Node]]:
        if key not in parent.node.entries:
            return
        value = parent.node.entries[key][1]
        path = _joined(parent.path, key)
        if isinstance(value, Sequence):
            for number, node in enumerate(value.items):
                yield f"{path}.{number}", node
        elif not (isinstance(value, Scalar) and value.text is None):
            self._report(value.position, path, f"`{key}` must be a list; start each entry with `- `")

    def _report(self, position: Position, path: str, message: str, hint: str = "") -> None:
        self._add(Diagnostic(position, path, message, hint))

    def _add(self, diagnostic: Diagnostic) -> None:
        self.plan.diagnostics.append(diagnostic)
        if len(self.plan.diagnostics) >= MAX_DIAGNOSTICS:
            raise _TooManyDiagnostics


class _ReadTask(NamedTuple):
    """A task that was read while the document was parsed, with the errors in it."""

    task: PlannedTask | None
    diagnostics: tuple[Diagnostic, ...]


class _EarlyTasks:
    """A converter that reads tasks while the document is parsed. The tree of a large plan would need twice the memory.

    The walk over the tree adds the project, the epic and the errors of each task, in the order of the document.
    """

    _KINDS: Final[dict[tuple[str, ...], type[PlanTask]]] = {
        ("projects", "epics", "tasks"): PlanTask,
        ("projects", "tasks"): PlanTask,
        ("standalone_tasks",): PlanStandaloneTask,
    }

    def __init__(self) -> None:
        self._reader = _Reader(Plan(""))
        self._is_full = False

    def __call__(self, keys: tuple[str, ...], path: tuple[str, ...], node: Mapping) -> Node:
        kind = self._KINDS.get(keys)
        if kind is None or self._is_full:
            return node
        found = self._reader.plan.diagnostics
        before = len(found)
        try:
            task = self._reader.read_task(kind, node, ".".join(path))
        except _TooManyDiagnostics:  # the walk stops at this task or before it
            self._is_full = True
            return node
        return Converted(node.position, _ReadTask(task, tuple(found[before:])))


def _duplicate_keys(node: Node, path: str, except_keys: tuple[str, ...] = ()) -> Iterator[tuple[str, Position, str]]:
    """Yield repeated keys with position and path, in the node and below it, except under the keys `except_keys`.

    Long keys are shortened, because the path of each error contains them.
    """
    if isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            yield from _duplicate_keys(item, f"{path}.{number}")
    elif isinstance(node, Mapping):
        for key, position in node.duplicates:
            shown = validation.excerpt(key)
            yield shown, position, _joined(path, shown)
        for key, (_, value) in node.entries.items():
            if key not in except_keys and not isinstance(value, Scalar):
                yield from _duplicate_keys(value, _joined(path, validation.excerpt(key)))


def _without_nulls(kind: type[Command], raw: dict[str, Any]) -> dict[str, Any]:
    """Replace null values with defaults. Drop null values of `status` and of required fields."""
    spec = {}
    for key, value in raw.items():
        known = kind.model_fields.get(key)
        if value is not None or known is None:
            spec[key] = value
        elif not known.is_required() and key != "status":
            spec[key] = known.get_default(call_default_factory=True)
    return spec


def _refs(parsed: _ParsedNode[Any], texts: list[str], *keys: str) -> tuple[ParsedReference, ...]:
    node = next((parsed.node.entries[key][1] for key in keys if key in parsed.node.entries), None)
    if isinstance(node, Sequence):
        pairs = zip(texts, node.items, strict=False)  # the lengths differ only in a document with errors
        return tuple(ParsedReference(text, item.position) for text, item in pairs)
    return tuple(ParsedReference(text, parsed.node.position if node is None else node.position) for text in texts)


def _position_of(node: Mapping, kind: type[Command], name: str) -> Position:
    """Return the position of an error in the field `name`: the key if the key is unknown, otherwise the value."""
    # `name` is shortened if the key is long.
    key = name if name in node.entries else next((key for key in node.entries if validation.excerpt(key) == name), None)
    if key is not None and key not in validation.names_of(kind):
        return node.entries[key][0]
    here: Node = node
    for part in name.split("."):
        if isinstance(here, Mapping) and part in here.entries:
            here = here.entries[part][1]
        elif isinstance(here, Sequence) and part.isdigit() and int(part) < len(here.items):
            here = here.items[int(part)]
        else:
            break
    return here.position


def _key_list(kind: type[Command]) -> str:
    names = [f"`{name}`" for name in kind.model_fields]
    return ", ".join(names[:3]) + (" .." if len(names) > 3 else "")


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
