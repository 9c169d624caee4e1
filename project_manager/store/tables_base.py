"""Parts that all tables share: the metadata with the names of constraints, and lists of columns of one type."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Index, MetaData, TextClause

from project_manager.store.functions import Number, OrderedText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def texts(*names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, OrderedText, nullable=nullable) for name in names]


def integers(*names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, Number, nullable=nullable) for name in names]


class PartialIndex(Index):
    """An index that has only the rows that meet the condition `where`."""

    inherit_cache = True

    def __init__(self, name: str, *columns: ColumnElement[Any] | str, where: TextClause, unique: bool = False) -> None:
        super().__init__(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)
