"""Every statement of the store compiles for both databases, and both accept it. None of them is run."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.pq import ExecStatus
from sqlalchemy import Integer

from project_manager.store.connection import Dialect
from project_manager.store.postgres import driver as postgres
from project_manager.store.postgres import hosts
from project_manager.store.sqlite import driver as sqlite
from project_manager.store.tables import metadata
from tests.architecture.tree import files, name_of, nodes
from tests.integration.every_statement import ARGUMENTS, builders, every_statement

STORE = "project_manager/store/"
HELPERS = {"pages", "row_inserts"}
"""Modules that other modules use to build their own statements."""
NUMBER = "int8"
TEXTS = {"bytea", "json", "text", "tsquery", "tsvector", "varchar"}
"""Types of parameters that get a text or bytes. The driver leaves the type of a text to the server."""
TEXT_PARAMETERS = {
    "globs",
    "read_verdict",
    *("agent", "asked", "changed", "facts", "highest", "holder", "ids", "instance", "keys", "label_merged"),
    *("lock_from", "lowest", "new_epoch", "participant", "scopes", "states"),
    *(
        "phrases",
        "priorities",
        "project_ids",
        "q",
        "q_among",
        "q_merged",
        "read_holder",
        "statuses",
        "texts",
        "types",
        "waiter_ids",
    ),
    "words",
}
"""Names of parameters that get a text and are not names of columns."""

pytestmark = pytest.mark.slow


class Compiled(NamedTuple):
    """The SQL of a statement with the values of its parameters: a constant, or the name of a parameter."""

    place: str
    sql: str
    parameters: tuple[Any, ...]


def compiled(dialect: Dialect, *, without: str) -> Iterator[Compiled]:
    """Yield the statements of a database, each text once. `without` is the package of the other database."""
    known = set()
    for place, statement in every_statement():
        if not place.startswith(without):
            sql, values_of = statement.compiled(dialect)
            if sql not in known:
                known.add(sql)
                yield Compiled(place, sql, parameters_of(values_of))


def parameters_of(values_of: Any) -> tuple[Any, ...]:
    """Return the parameters that a statement asks for. Each one gets its name as its value."""
    given: dict[str, str] = {}
    while True:
        try:
            return tuple(values_of(given))
        except KeyError as missing:
            (name,) = missing.args
            given[name] = name


class Prepared(NamedTuple):
    """The parameters and the columns of a statement with the names of their types in PostgreSQL."""

    place: str
    parameters: list[tuple[Any, str]]
    columns: list[str]


def prepare(connection: psycopg.Connection[Any], statement: Compiled) -> Prepared:
    """Prepare a statement without types of parameters, so that the server infers them from the statement alone."""
    server, type_of = connection.pgconn, connection.adapters.types
    prepared = server.prepare(b"", statement.sql.encode())
    if prepared.status != ExecStatus.COMMAND_OK:
        raise AssertionError(f"{statement.place}: {prepared.get_error_message()}\n{statement.sql}")
    found = server.describe_prepared(b"")
    parameters = [type_of[found.param_type(place)].name for place in range(found.nparams)]
    columns = [type_of[found.ftype(place)].name for place in range(found.nfields)]
    return Prepared(statement.place, [*zip(statement.parameters, parameters, strict=True)], columns)


@pytest.fixture
def prepared(postgresql_url: str) -> list[Prepared]:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"SET search_path = {hosts.SCHEMA}".encode())
        return [prepare(connection, statement) for statement in compiled(postgres.DIALECT, without="sqlite.")]


def test_no_function_that_builds_statements_and_no_module_with_statements_is_left_out() -> None:
    assert builders().keys() == ARGUMENTS.keys()
    found = {place.partition("(")[0].rpartition(".")[0] for place, _ in every_statement()}
    assert {module for module in map(module_of, files(f"{STORE}*.py")) if module} - found == HELPERS


def module_of(path: Path) -> str | None:
    """Return the name of the module if it makes a Statement."""
    calls = [node.func for node in nodes(path) if isinstance(node, ast.Call)]
    if not any(isinstance(called, ast.Name) and called.id == "Statement" for called in calls):
        return None
    return name_of(path).removeprefix(STORE).removesuffix(".py").replace("/", ".")


def test_sqlite_accepts_every_statement(database_file: Path) -> None:
    connection = sqlite.connect(str(database_file))
    try:
        for statement in compiled(sqlite.DIALECT, without="postgres."):
            connection.execute(f"EXPLAIN {statement.sql}", [None] * len(statement.parameters))
    finally:
        connection.close()


def test_postgresql_infers_64_bits_for_each_parameter_that_is_a_number(prepared: list[Prepared]) -> None:
    """The driver sends numbers as `int8`. Another type shows a cast that loses bits, or a guess of the server."""
    columns = [column for table in metadata.tables.values() for column in table.c]
    texts = {column.name for column in columns if not isinstance(column.type, Integer)} | TEXT_PARAMETERS
    for statement in prepared:
        for name, found in statement.parameters:
            column = re.sub(r"_\d+$", "", str(name))  # an INSERT of several rows numbers the columns
            assert found == NUMBER or (column in texts and found in TEXTS), f"{statement.place}: {name} is {found}"


def test_postgresql_returns_no_type_that_sqlite_does_not_have(prepared: list[Prepared]) -> None:
    """A bool equals 0 or 1. JSON is read as text. A sum of numbers would be a Decimal without a cast."""
    places = defaultdict(list)
    for statement in prepared:
        for found in statement.columns:
            places[found].append(statement.place)
    assert places.keys() == {"int4", NUMBER, "bool", "text", "json", "bytea"}
