"""Notices: what was found beside budgets, told as alerts are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column that says what a row tells of; all earlier ones are of budgets."""
    op.add_column("alerts", sa.Column("kind", sa.Text(), nullable=False, server_default="budget"))


def downgrade() -> None:
    """Drop the column, and with it what earlier versions cannot read."""
    op.execute("DELETE FROM deliveries WHERE alert_id IN (SELECT id FROM alerts WHERE kind <> 'budget')")
    op.execute("DELETE FROM alerts WHERE kind <> 'budget'")
    op.drop_column("alerts", "kind")
