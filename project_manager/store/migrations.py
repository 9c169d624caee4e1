"""Migration of a database to the schema that this release needs."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from project_manager.store.revisions import scripts_folder


def upgrade(path: str, revision: str = "head") -> None:
    """Run the missing migrations up to `revision` in one transaction, so that all are kept, or none.

    Raises OSError, the driver's error, or DatabaseOpenError, such as when rows would be left without their parents.
    """
    config = _config()
    config.attributes["path"] = path
    try:
        command.upgrade(config, revision)
    except DBAPIError as error:
        raise (error.orig or error) from error


def oldest_release(scripts: ScriptDirectory | None = None) -> str:
    """Return the newest migration that the oldest release knows which runs on the newest schema.

    A release that does not run on an older schema does not run on a newer one either, even if the newer migration
    names it as `oldest_release`.
    """
    newest, *others = (scripts or ScriptDirectory.from_config(_config())).walk_revisions()
    named = (getattr(script.module, "oldest_release", "") for script in others)
    return max(getattr(newest.module, "oldest_release", newest.revision), *named, key=str)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    return config
