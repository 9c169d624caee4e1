"""Every statement of the store: those that modules hold, and those of the cached functions that build them."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import _lru_cache_wrapper, cache
from itertools import combinations, product
from types import ModuleType
from typing import Any, NamedTuple

from project_manager import store
from project_manager.domain.assumptions import WITHOUT_VERDICT
from project_manager.domain.questions import QuestionState
from project_manager.schemas.tasks import TASK_FIELD_NAMES
from project_manager.store import copying, seals, search, task_filters
from project_manager.store.assumptions import VerdictRow
from project_manager.store.bulk_knowledge import AssumptionRecord
from project_manager.store.claim_search import _Shape
from project_manager.store.knowledge import KnowledgeLogRow
from project_manager.store.logs import LogRow
from project_manager.store.reviews import SubmissionRow
from project_manager.store.row_inserts import RowInsert
from project_manager.store.statement import Statement
from project_manager.store.tables import metadata
from project_manager.store.tasks import WRITABLE

PREFIX = f"{store.__name__}."
Arguments = Iterable[tuple[Any, ...]]
BOTH = (False, True)


class Named(NamedTuple):
    """A statement, with the place that holds or builds it."""

    place: str
    statement: Statement


def modules() -> list[ModuleType]:
    return [importlib.import_module(found.name) for found in pkgutil.walk_packages(store.__path__, PREFIX)]


@cache
def every_statement() -> list[Named]:
    return [*_held(), *_built()]


def _held() -> Iterator[Named]:
    """Yield the statements that the modules hold under a name."""
    for module in modules():
        for name, value in vars(module).items():
            if isinstance(value, Statement):
                yield Named(f"{module.__name__.removeprefix(PREFIX)}.{name}", value)
            elif isinstance(value, RowInsert):
                for statement in value.statements():
                    yield Named(f"{module.__name__.removeprefix(PREFIX)}.{name}", statement)


def builders() -> dict[str, "_lru_cache_wrapper[Any]"]:
    """Return the cached functions that build statements, by their module and name."""
    return {
        f"{module.__name__.removeprefix(PREFIX)}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, _lru_cache_wrapper)
        and value.__module__ == module.__name__
        and "Statement" in str(value.__wrapped__.__annotations__["return"])
    }


def _built() -> Iterator[Named]:
    """Yield the statements that the functions build from ARGUMENTS."""
    for place, build in builders().items():
        for arguments in ARGUMENTS[place]:
            found = build.__wrapped__(*arguments)
            for statement in found if isinstance(found, tuple) else (found,):
                yield Named(f"{place}{arguments}", statement)


def subsets(*names: str, most: int = 99) -> Iterator[frozenset[str]]:
    """Yield the sets of at most `most` of these names, and the set of all."""
    sizes = {*range(min(most, len(names)) + 1), len(names)}
    return (frozenset(chosen) for size in sizes for chosen in combinations(names, size))


# The conditions of a list are independent of each other. So each one is combined with each index, label and search, and
# all conditions are combined once. All sets of conditions would be a hundred times as many.
_SCOPE = [{"project_id"}, {"epic_id"}, {"project_id", "epic_id"}]
_OF_ROW = {
    *("priorities", "worked_by", "created_by", "changed_since"),
    *("created_since", "created_until", "completed_since", "completed_until"),
}
_FILTERS: list[set[str]] = [
    *[set(), _OF_ROW, {"holder"}, {"ids"}, {"unheld"}, {"ready"}, {"not_ready"}, {"status"}, *_SCOPE],
    *[{"ready", *others} for others in (_OF_ROW, {"holder"}, {"ids"}, *_SCOPE)],
    *[{"status", "project_id"}, {"status", "project_id", "epic_id", "holder", "ids", "not_ready", "unheld", *_OF_ROW}],
]
_LABELS: list[set[str]] = [set(), {"label"}, {"label_0"}, {"label", "label_1"}, {"label", "label_merged", "label_2"}]
_SEARCHES: list[set[str]] = [set(), {"q"}, {"q_among"}, {"phrases"}]
_TEXTS = [*(labels | search for labels, search in product(_LABELS, _SEARCHES)), {"label", "q_merged"}]
LISTS = [frozenset(filters | texts) for filters, texts in product(_FILTERS, _TEXTS)]
READY_LISTS = [frozenset({"ready", *scope, *labels}) for scope, labels in product([set(), *_SCOPE], _LABELS)]
SHAPES = [
    _Shape(names, several, later, capped)
    for names in subsets("project_id", "epic_id", "priority", "labels")
    for several, later, capped in product([False, True] if "labels" in names else [False], BOTH, BOTH)
]
KNOWLEDGE = ("project_id", "epic_id", "task_id", "parent_id", "knowledge_id", "category", "q", "labels", "active")
CHILDREN = (
    (LogRow, "task_logs", "task_id"),
    (SubmissionRow, "submissions", "task_id"),
    (AssumptionRecord, "assumptions", "task_id"),
    (VerdictRow, "assumption_verdicts", "assumption_id"),
    (KnowledgeLogRow, "knowledge_logs", "knowledge_id"),
)
OF_TASKS = (
    ("task_logs", "task_id"),
    ("submissions", "task_id"),
    ("questions", "task_id"),
    ("assumptions", "task_id"),
    ("assumption_verdicts", "assumption_id"),
)
NEW_ROWS = ("task_logs", "submissions", "knowledge_items", "knowledge_logs", "assumptions", "assumption_verdicts")

ARGUMENTS: dict[str, Arguments] = {
    "agents._listed": product((None, *BOTH), BOTH),
    "assumptions._listed": [(None,), (WITHOUT_VERDICT,), ("CONFIRMED",)],
    "bulk._insert": [
        (name, tuple(metadata.tables[name].c.keys()[1:]), returns_id) for name, returns_id in product(NEW_ROWS, BOTH)
    ],
    "bulk._parents": [(table, column) for _, table, column in CHILDREN],
    "bulk._children": CHILDREN,
    "claim_search._first": [(shape,) for shape in SHAPES],
    "claim_search._tasks_in_part": [(shape,) for shape in SHAPES],
    "claim_search._end_of_part": [(shape,) for shape in SHAPES],
    "compact_rows._rows": product(BOTH),
    "copying._select": [
        *((table, tuple(table.c.keys())) for table in copying.COPIED),
        *((table, ("id", *texts)) for table, texts in search.INDEXED.values()),
    ],
    "epics._listed": product(subsets("project_id", "status")),
    "events._of_task": product(BOTH),
    "events._selected": product(subsets("types", "project_id")),
    "knowledge._logged": product(BOTH),
    "knowledge._listed": product(subsets(*KNOWLEDGE, most=1), BOTH),
    "lease_history._live": product(subsets("agent_id", "since", "until"), BOTH),
    "lease_history._past": product(subsets("agent_id", "since", "until"), BOTH),
    "bulk_edits._update": [(("version", "updated_at"),), ((*WRITABLE, "version", "updated_at", "submission_id"),)],
    "listing._page_statement": [
        *product(LISTS, [TASK_FIELD_NAMES], ["id"], BOTH, [True]),
        *product(READY_LISTS, [TASK_FIELD_NAMES], ["claim"], BOTH, BOTH),
    ],
    "listing._first_ids_statement": [(names, True) for names in LISTS if task_filters.has_ranges(names)],
    "listing._matching_statement": product(LISTS, [True]),
    "listing._counter": [*product(LISTS, [True]), *product(READY_LISTS, [False])],
    "logs._newest": product(BOTH),
    "logs._count": product(BOTH),
    "logs._by_author": product(BOTH),
    "offers._among": product(BOTH),
    "offers._ready_of": product(BOTH),
    "messages._listed": product(BOTH, BOTH, BOTH, BOTH),
    "messages._open_to": [("to_agent",), ("to_task",), ("to_project",)],
    "postgres.search._replace": [("tasks_fts",), ("knowledge_fts",)],
    "projects._listed": [(None,), (False,), (True,)],
    "ready_tasks._among": product(BOTH, BOTH),
    "ready_tasks._states": product(BOTH, BOTH),
    "ready_tasks._count_among_todo": product(BOTH, BOTH),
    "questions._counter": product(subsets("task_id", "project_id"), [None, *QuestionState]),
    "questions._page": product(subsets("task_id", "project_id"), [None, *QuestionState]),
    "review_search._statement": product(subsets("project_id", "epic_id", "priority", "labels")),
    "reviews._counter": [()],
    "reviews._page": [()],
    "seals._all_rows": product(seals.TABLES),
    "seals._rows_in": [("tasks", "id"), *OF_TASKS],
    "seals._rows_where": [*product(seals.TABLES, ["id"]), *OF_TASKS, ("knowledge_logs", "knowledge_id")],
    "sqlite.search._replace": [(index, ("rowid", *texts)) for index, (_, texts) in search.INDEXED.items()],
    "sqlite.search._words_with_prefix": [("tasks_fts",), ("knowledge_fts",)],
    "task_filters._size_of": product([*task_filters._INDEXES, *map(frozenset, [["ready"], ["ready", "project_id"]])]),
    "task_rows._chunk_statement": product([TASK_FIELD_NAMES], BOTH),
}
