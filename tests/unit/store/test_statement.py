"""Statements are compiled at their first use, so that a start does not compile those that it does not use."""

from typing import Any

import pytest
from sqlalchemy import TextClause, bindparam, literal, select, text

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
    assert [statement.sql, statement.sql] == ["SELECT ?"] * 2
    assert statement._values({"first": 1}) == [1]
    assert clause.compilations == 1


def test_a_parameter_can_be_used_before_the_text() -> None:
    statement = Statement(select(bindparam("first"), literal(2), bindparam("third")))
    assert statement._values({"first": 1, "third": 3}) == (1, 2, 3)


def test_an_unknown_attribute_of_a_statement_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_such_attribute"):
        _ = Statement(text("SELECT 1")).no_such_attribute
