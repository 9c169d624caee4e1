"""The tables of the flow: hourly roll-ups, and the state from which the next events are folded into them."""

from sqlalchemy import Column, Index, Table

from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import integers, metadata, texts

COUNTERS = (
    *("created", "completed", "cancelled", "reopened", "failed", "expired", "submitted", "approved"),
    *("changes_requested", "cycle_ms", "review_ms", "ready_ms", "leased_ms", "idle_ms"),
)
HISTOGRAMS = ("cycle", "review", "ready")

flow_hours = Table(
    "flow_hours",
    metadata,
    Column("scope", OrderedText, primary_key=True),
    Column("hour", Number, primary_key=True),
    *integers(*COUNTERS),
    *texts(*HISTOGRAMS),
    *texts("counts", nullable=True),
    Index("ix_flow_hours_hour", "hour"),
    sqlite_with_rowid=False,
    comment="roll-ups by scope and hour since the epoch; an hour without events has no row",
)

flow_states = Table(
    "flow_states",
    metadata,
    Column("side", Number, primary_key=True),
    Column("key", OrderedText, primary_key=True),
    Column("value", OrderedText, nullable=False),
    sqlite_with_rowid=False,
    comment="state of each task, agent and scope: side 0 at the last folded event, side 1 for a rebuild",
)

flow_position = Table(
    "flow_position",
    metadata,
    Column("id", Number, primary_key=True),
    *integers("seq", "base_seq", "known_since", "kept_hour", "kept_seq", "seed_id"),
    comment="one row: the progress of the fold",
)
