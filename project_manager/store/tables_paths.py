"""The tables of the paths of tasks: globs, their overlaps, and the globs that leases reserve."""

from sqlalchemy import Column, ForeignKey, Index, Table, UniqueConstraint, text

from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import PartialIndex, metadata

path_globs = Table(
    "path_globs",
    metadata,
    Column("id", Number, primary_key=True),
    Column("project_id", Number, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("glob", OrderedText, nullable=False),
    UniqueConstraint("project_id", "glob"),
    sqlite_autoincrement=True,
    comment="the distinct globs of the tasks of a project",
)

glob_overlaps = Table(
    "glob_overlaps",
    metadata,
    Column("glob_id", Number, ForeignKey("path_globs.id", ondelete="CASCADE"), primary_key=True),
    Column("other_id", Number, ForeignKey("path_globs.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_glob_overlaps_other_id", "other_id"),
    sqlite_with_rowid=False,
    comment="globs that can match the same file, in both directions; each glob overlaps itself",
)

task_paths = Table(
    "task_paths",
    metadata,
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("glob_id", Number, ForeignKey("path_globs.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_task_paths_glob_id", "glob_id"),
    sqlite_with_rowid=False,
)

path_reservations = Table(
    "path_reservations",
    metadata,
    Column("glob_id", Number, ForeignKey("path_globs.id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", Number, primary_key=True),
    Column("fence", Number, nullable=False),
    Column("ended", Number, nullable=False),
    Index("ix_path_reservations_task_id", "task_id"),
    PartialIndex("ix_path_reservations_ended", "ended", where=text("ended = 1")),
    sqlite_with_rowid=False,
    comment="globs of leased tasks; an ended one stays until all parked tasks are returned, also of a deleted task",
)

parked_paths = Table(
    "parked_paths",
    metadata,
    Column("glob_id", Number, ForeignKey("path_globs.id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_parked_paths_task_id", "task_id"),
    sqlite_with_rowid=False,
    comment="globs of the tasks that are withheld from claims because of their paths",
)
