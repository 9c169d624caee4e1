"""Create the schema of the first release.

The statements are those of SQLite or of PostgreSQL. Each runs by itself, because drivers accept one at a time.
"""

import secrets
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = None
branch_labels = None
depends_on = None
oldest_release = "0018"

FOLDER = Path(__file__).parents[1] / "baseline"


def upgrade() -> None:
    connection = op.get_bind()
    schema = (FOLDER / f"{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in schema.split("\n\n"):
        connection.exec_driver_sql(statement)
    connection.execute(
        sa.text(
            "INSERT INTO meta (id, epoch, clock_high, fence_floor, event_floor, created_at) "
            "VALUES (1, :epoch, 0, 0, 0, 0)"
        ),
        {"epoch": secrets.token_hex(8)},
    )
