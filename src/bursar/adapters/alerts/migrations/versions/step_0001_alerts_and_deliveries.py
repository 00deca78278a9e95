"""The first tables: alerts, and how each notifier is told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("start_s", sa.BigInteger(), nullable=False),
        sa.Column("at_per_mille", sa.Integer(), nullable=False),
        sa.Column("end_s", sa.BigInteger(), nullable=True),
        sa.Column("limit", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("crossed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("is_passed", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("acked_at_us", sa.BigInteger(), nullable=True),
        sa.Column("acked_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint(
            "scope",
            "unit",
            "period",
            "start_s",
            "at_per_mille",
            name="uq_alerts_scope_unit_period_start_s_at_per_mille",
        ),
    )
    op.create_table(
        "deliveries",
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("notifier", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("leased_until_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_deliveries_alert_id"),
        sa.PrimaryKeyConstraint("alert_id", "notifier", name="pk_deliveries"),
    )
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["due_at_us"],
        sqlite_where=sa.text("outcome = 'pending'"),
        postgresql_where=sa.text("outcome = 'pending'"),
    )


def downgrade() -> None:
    """Drop the tables, and with them what was told."""
    op.drop_index("ix_deliveries_pending", "deliveries")
    op.drop_table("deliveries")
    op.drop_table("alerts")
