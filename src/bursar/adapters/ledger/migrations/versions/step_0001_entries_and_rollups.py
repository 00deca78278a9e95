"""The first tables: entries, and their roll-ups per hour."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TOKENS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_30m_tokens",
    "cache_write_1h_tokens",
    "cache_write_12h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
_TECHNIQUES = (
    "saved_prefix_cache_nusd",
    "saved_response_cache_nusd",
    "saved_routing_nusd",
    "saved_history_nusd",
    "saved_tool_results_nusd",
    "saved_output_nusd",
    "saved_batch_nusd",
    "would_save_prefix_cache_nusd",
    "would_save_response_cache_nusd",
    "would_save_routing_nusd",
    "would_save_history_nusd",
    "would_save_tool_results_nusd",
    "would_save_output_nusd",
    "would_save_batch_nusd",
)
_COMPONENTS = (
    "component_system_tokens",
    "component_tools_tokens",
    "component_history_tokens",
    "component_tool_results_tokens",
    "component_user_tokens",
    "component_output_tokens",
    "component_routing_tokens",
    "component_system_nusd",
    "component_tools_nusd",
    "component_history_nusd",
    "component_tool_results_nusd",
    "component_user_nusd",
    "component_output_nusd",
    "component_routing_nusd",
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _count(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "entries",
        _text("operation_id"),
        _count("at_us"),
        *(_text(name) for name in ("tenant", "agent", "task", "conversation", "user", "dialect")),
        *(_text(name) for name in ("model", "model_sent", "mode")),
        sa.Column("stream", sa.Boolean(), nullable=False),
        _text("status"),
        sa.Column("http_status", sa.Integer(), nullable=False),
        _count("latency_ms"),
        _count("overhead_us"),
        _text("thread"),
        _count("turn"),
        *(_count(name, nullable=True) for name in (*_TOKENS, "web_search_requests", "web_fetch_requests")),
        *(_count(name, nullable=True) for name in ("cost_nusd", "cost_max_nusd", "baseline_nusd")),
        _text("basis"),
        *(
            sa.Column(name, sa.JSON(), nullable=False)
            for name in ("other_usage", "attempts", "components", "shares", "would_save", "tags", "faults")
        ),
        sa.PrimaryKeyConstraint("operation_id", name="pk_entries"),
    )
    op.create_index("ix_entries_at_us", "entries", ["at_us"])
    op.create_table(
        "rollups",
        _count("hour"),
        *(_text(name) for name in ("tenant", "agent", "model", "task")),
        *(_count(name) for name in ("calls", "unknown_calls", "uncompared_calls")),
        *(_count(name) for name in ("cost_nusd", "baseline_nusd", "saved_nusd")),
        *(_count(name) for name in ("estimated_nusd", "estimated_max_nusd")),
        *(_count(name) for name in (*_TOKENS, *_TECHNIQUES, *_COMPONENTS)),
        sa.PrimaryKeyConstraint("hour", "tenant", "agent", "model", "task", name="pk_rollups"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop the tables, and every entry with them."""
    op.drop_table("rollups")
    op.drop_index("ix_entries_at_us", "entries")
    op.drop_table("entries")
