"""Parameters of statements."""

from contextlib import closing
from pathlib import Path

import pytest

from project_manager.store.sqlite import driver


@pytest.mark.parametrize("value", [None, 0, "", "NULL", b"", 2**63 - 1])
def test_a_parameter_is_stored_with_its_value_and_type(database_file: Path, value: object) -> None:
    with closing(driver.connect(str(database_file))) as connection:
        connection.execute("CREATE TABLE kept (value)")
        connection.execute("INSERT INTO kept VALUES (?)", (value,))
        (row,) = connection.execute("SELECT value, typeof(value) = typeof(?) FROM kept", (value,)).fetchall()
    assert (type(row[0]), *row) == (type(value), value, 1)


@pytest.mark.parametrize("kind", [type(None), bytes])
def test_the_driver_finds_an_adapter_of_each_kind_of_parameter_at_once(kind: type) -> None:
    assert (kind, driver.driver.PrepareProtocol) in driver.driver.adapters
