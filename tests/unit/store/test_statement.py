"""Statements are compiled at their first use, so that a start does not compile those that it does not use."""

from typing import Any

from sqlalchemy import TextClause, bindparam, literal, select

from project_manager.store.sqlite.driver import DIALECT
from project_manager.store.statement import Statement


class Counted(TextClause):
    """A statement that counts how often it is compiled."""

    inherit_cache = True
    compilations = 0

    def compile(self, *arguments: Any, **options: Any) -> Any:
        self.compilations += 1
        return super().compile(*arguments, **options)


def test_a_statement_is_compiled_once_at_its_first_use() -> None:
    clause = Counted("SELECT :first")
    statement = Statement(clause)
    assert clause.compilations == 0
    assert [statement.compiled(DIALECT).sql, statement.compiled(DIALECT).sql] == ["SELECT ?"] * 2
    assert statement.compiled(DIALECT).values_of({"first": 1}) == [1]
    assert clause.compilations == 1


def test_the_values_of_a_statement_are_in_its_order_with_those_that_it_contains() -> None:
    statement = Statement(select(bindparam("first"), literal(2), bindparam("third")))
    assert statement.compiled(DIALECT).values_of({"first": 1, "third": 3}) == (1, 2, 3)
