"""Runs the ledger's migrations."""

from bursar.adapters.sqlite.scripts import run

run()
