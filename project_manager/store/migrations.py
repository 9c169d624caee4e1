"""Migration of a database to the schema that this release needs."""

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from project_manager.store.revisions import scripts_folder


def upgrade(path: str, revision: str = "head") -> None:
    """Run the missing migrations up to `revision` in one transaction, so that all are kept, or none.

    Raises OSError, the driver's error, or DatabaseOpenError, such as when rows would be left without their parents.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes["path"] = path
    try:
        command.upgrade(config, revision)
    except DBAPIError as error:
        raise (error.orig or error) from error
