"""Parts that all tables share: the metadata, the names of constraints, and checks of texts."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, MetaData

from project_manager.domain import limits

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def in_check(column: str, words: type[StrEnum]) -> str:
    """Return the SQL condition that the column has a value of the enumeration."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


def name_length() -> CheckConstraint:
    """Return the constraint on the length of the column `name`."""
    return CheckConstraint(f"length(name) BETWEEN 1 AND {limits.NAME_CHARACTERS}", name="name_length")
