"""Runs the admin store's migrations."""

from bursar.adapters.sqlite.scripts import run

run()
