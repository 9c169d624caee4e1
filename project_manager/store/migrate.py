"""Bringing a database to the schema that this release needs."""

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from project_manager.store.revisions import scripts_folder


def upgrade(path: str) -> None:
    """Runs every migration that the database lacks, all in one transaction: they are kept whole or not at all.

    Raises the driver's error, and DatabaseRefused when rows would be left without those they belong to.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes["path"] = path
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        raise (error.orig or error) from error
