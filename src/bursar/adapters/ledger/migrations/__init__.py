"""Alembic's environment for the ledger; `versions` holds the steps, oldest first."""
