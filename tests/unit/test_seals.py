"""The tables with digests of their rows."""

import pytest
from sqlalchemy import Table

from project_manager.store.seals import TABLES
from project_manager.store.tables import metadata


def deleted_with(table: Table) -> set[str]:
    """Return the table, and all tables of rows whose deletion deletes rows of the table."""
    parents = [key.column.table for key in table.foreign_keys if key.ondelete == "CASCADE"]
    return {table.name, *(name for parent in parents for name in deleted_with(parent))}


@pytest.mark.parametrize("name", TABLES)
def test_a_sealed_table_has_a_noun_and_the_deletion_rule_of_its_foreign_keys(name: str) -> None:
    table, sealed = metadata.tables[name], TABLES[name]
    assert sealed.noun
    assert sealed.is_of_task == ("tasks" in deleted_with(table))


@pytest.mark.parametrize("name", TABLES)
def test_a_digest_leaves_out_links_that_a_deletion_sets_to_null(name: str) -> None:
    columns = metadata.tables[name].c
    nulled = {key.parent.name for key in metadata.tables[name].foreign_keys if key.ondelete == "SET NULL"}
    assert set(TABLES[name].columns) <= set(columns.keys()) - nulled
