"""Bringing a database to the schema that this release needs."""

from alembic import command
from alembic.config import Config

from project_manager.store.revisions import scripts_folder


def upgrade(path: str) -> None:
    """Runs every migration that the database lacks, all in one transaction: they are kept whole or not at all."""
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes["path"] = path
    command.upgrade(config, "head")
