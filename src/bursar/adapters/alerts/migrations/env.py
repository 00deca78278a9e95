"""Runs the alert outbox's migrations."""

from bursar.adapters.sqlite.scripts import run

run()
