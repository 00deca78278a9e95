"""Runs a store's migrations on the connection that `migration.py` hands over, inside its transaction."""

from alembic import context


def run() -> None:
    """Run them. Called by the `env.py` of each store's migrations."""
    given = context.config.attributes
    context.configure(connection=given["connection"], target_metadata=given["metadata"])
    context.run_migrations()
