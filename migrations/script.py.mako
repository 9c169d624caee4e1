"""${message}.

The previous release must run on the schema that this leaves: add first, remove one release later.
"""
<% code = upgrades or "pass" %>\
% if "sa." in code or "op." in code:

import sqlalchemy as sa
from alembic import op
${imports or ""}\
% endif

revision = "${up_revision}"
down_revision = "${down_revision}"
branch_labels = None
depends_on = None
oldest_release = "${down_revision}"


def upgrade() -> None:
    ${code}
