"""Benchmarks: each prints its figures side by side in one run. `python -m bench` runs them all."""
