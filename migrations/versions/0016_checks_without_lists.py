"""Spell the CHECKs of words as comparisons, because SQLite builds a temporary index for each longer list.

With more than two words, `status IN (..)` opens, fills and drops an index in every INSERT and UPDATE of the column. The
comparisons accept the same values, so no row is read or written. The texts of the tables are edited in place, with the
procedure of section 7 of sqlite.org/lang_altertable.html for changes that do not affect the contents. It takes the same
time for each size of the database, and keeps indexes, triggers and foreign keys. The parser of SQLite reads the new
texts in the same transaction, before its end.

The previous release runs on the new schema.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
oldest_release = "0015"

WORDS = (
    ("agents", "kind", ("human", "agent", "system")),
    ("assumption_verdicts", "verdict", ("validated", "rejected", "partial")),
    ("epics", "status", ("ACTIVE", "PLANNED", "COMPLETED", "CANCELLED")),
    ("task_logs", "kind", ("comment", "progress", "handoff", "evidence", "system")),
    ("tasks", "status", ("BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED")),
    ("tokens", "role", ("viewer", "agent", "operator")),
)


def upgrade() -> None:
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    for table, column, words in WORDS:
        quoted = [f"'{word}'" for word in words]
        listed = f"CHECK ({column} IN ({', '.join(quoted)}))"
        compared = f"CHECK ({' OR '.join(f'{column} = {word}' for word in quoted)})"
        connection.exec_driver_sql(
            "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ?",
            (listed, compared, table),
        )
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
