"""Make token names unique among active tokens only. A new token can reuse the name of a revoked token.

The previous release runs on the new schema. Before it writes a name, it checks all tokens, revoked ones included.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
oldest_release = "0005"


def upgrade() -> None:
    with op.batch_alter_table("tokens", table_kwargs={"sqlite_autoincrement": True}) as tokens:
        tokens.drop_constraint("uq_tokens_name", type_="unique")
    op.create_index("uq_tokens_name_live", "tokens", ["name"], unique=True, sqlite_where=sa.text("revoked_at IS NULL"))
