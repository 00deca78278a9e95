"""An index of the calls that were held out, so that reports know at once whether there are any."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    held_out = sa.text("mode = 'holdout'")
    op.create_index(
        "ix_entries_held_out", "entries", ["at_us"], sqlite_where=held_out, postgresql_where=held_out
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_entries_held_out", "entries")
