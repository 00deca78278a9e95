"""What was decided about a call beside what its techniques did."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of earlier calls nothing of the kind was decided."""
    op.add_column(
        "entries", sa.Column("decisions", sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
    )


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("entries", "decisions")
