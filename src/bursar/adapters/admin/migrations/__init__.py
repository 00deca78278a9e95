"""Alembic's environment for the admin store; `versions` holds the steps, oldest first."""
