"""Runs migrations on the connection that `migration.py` hands over, inside its transaction."""

from alembic import context

from bursar.adapters.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
