"""Bringing a database to the schema that this release needs."""

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from project_manager.store.revisions import scripts_folder


def upgrade(path: str, revision: str = "head") -> None:
    """Run the migrations up to `revision` that the database lacks, in one transaction: all are kept, or none.

    Raises the driver's error, and DatabaseRefused when rows would be left without those they belong to.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes["path"] = path
    try:
        command.upgrade(config, revision)
    except DBAPIError as error:
        raise (error.orig or error) from error
