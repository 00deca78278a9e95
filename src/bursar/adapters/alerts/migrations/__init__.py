"""Alembic's environment for the alert outbox; `versions` holds the steps, oldest first."""
